-- What else a tenant settles for itself, and how often its event types have changed: ingest, which looks a tenant up every few
-- seconds, reads the types anew when that has moved, and never for a tenant that has none.
ALTER TABLE platform.tenants
    ADD COLUMN time_zone text NOT NULL DEFAULT 'UTC',
    ADD COLUMN retention jsonb NOT NULL DEFAULT '{"events_days": {"widget": 90, "default": 396}, "sessions_days": 365, "daily": null}',
    ADD COLUMN event_types_version bigint NOT NULL DEFAULT 0;
COMMENT ON COLUMN platform.tenants.time_zone IS 'IANA name.';
COMMENT ON COLUMN platform.tenants.retention IS 'For how many days which data are kept; null: for ever.';
COMMENT ON COLUMN platform.tenants.event_types_version IS 'How often goals.event_types has changed for the tenant.';

SET LOCAL ROLE goalpost_system_views;
CREATE OR REPLACE VIEW platform.v_write_tokens_v1 AS
SELECT k.id, k.tenant_id, k.kind, k.secret_hash, t.taxonomy, t.max_properties_bytes, t.content_key, t.event_types_version
FROM platform.write_tokens k JOIN platform.tenants t ON t.tenant_id = k.tenant_id
WHERE k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > now());

CREATE OR REPLACE VIEW platform.v_tenants_v1 AS
SELECT t.tenant_id, t.taxonomy, t.max_properties_bytes, t.content_key, t.event_types_version FROM platform.tenants t;
SET LOCAL ROLE goalpost_owner;
