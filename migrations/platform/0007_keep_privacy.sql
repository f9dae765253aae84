-- What of a tenant's events is personal and how ids that tell a person are replaced; and write tokens that stand in web pages.
ALTER TABLE platform.tenants
    ADD COLUMN redaction jsonb NOT NULL DEFAULT '{"mode": "redact", "deny": [], "allow": []}',
    ADD COLUMN id_salt bytea NOT NULL CHECK (length(id_salt) = 32)
        DEFAULT sha256(convert_to(gen_random_uuid()::text || gen_random_uuid()::text, 'UTF8'));
COMMENT ON COLUMN platform.tenants.redaction IS 'Whether personal data are redacted or make a reject, and the keys that the tenant adds to the deny-list or takes from it.';
COMMENT ON COLUMN platform.tenants.id_salt IS 'Keys what stands for a user_id or contact_id that is an e-mail address or a phone number (HMAC-SHA-256). Never changes.';

ALTER TABLE platform.write_tokens
    DROP CONSTRAINT write_tokens_kind_check,
    ADD CONSTRAINT write_tokens_kind_check CHECK (kind IN ('server', 'browser')),
    ADD COLUMN origins text[] NOT NULL DEFAULT '{}';
COMMENT ON COLUMN platform.write_tokens.origins IS 'Of a browser token: the origins whose pages may use it, scheme://host[:port].';

SET LOCAL ROLE goalpost_system_views;
CREATE OR REPLACE VIEW platform.v_tenants_v1 AS
SELECT t.tenant_id, t.taxonomy, t.max_properties_bytes, t.content_key, t.event_types_version, t.id_salt, t.redaction FROM platform.tenants t;

-- An ingest of the version before knows no kinds: it is shown no browser token, which it would take for a server's.
CREATE OR REPLACE VIEW platform.v_write_tokens_v1 AS
SELECT k.id, k.tenant_id, k.kind, k.secret_hash, t.taxonomy, t.max_properties_bytes, t.content_key, t.event_types_version
FROM platform.write_tokens k JOIN platform.tenants t ON t.tenant_id = k.tenant_id
WHERE k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > now()) AND k.kind = 'server';

CREATE VIEW platform.v_write_tokens_v2 AS
SELECT k.id, k.tenant_id, k.kind, k.origins, k.secret_hash, t.taxonomy, t.max_properties_bytes, t.content_key, t.event_types_version,
    t.id_salt, t.redaction
FROM platform.write_tokens k JOIN platform.tenants t ON t.tenant_id = k.tenant_id
WHERE k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > now());
GRANT SELECT ON platform.v_write_tokens_v2, platform.v_tenant_ids_v1 TO goalpost_ingest_system;
SET LOCAL ROLE goalpost_owner;

-- For whoever is given an id by a caller and has to look for what stands for it.
CREATE VIEW platform.v_id_salts_v1 AS SELECT t.tenant_id, t.id_salt FROM platform.tenants t;
GRANT SELECT ON platform.v_id_salts_v1 TO goalpost_ingest, goalpost_goals, goalpost_evaluator;
