-- Tenants and their credentials: written by the goals service, which is the configuration service.
GRANT USAGE ON SCHEMA platform TO goalpost_goals, goalpost_goals_system, goalpost_ingest, goalpost_ingest_system,
    goalpost_evaluator, goalpost_evaluator_system, goalpost_analytics, goalpost_analytics_system, goalpost_partitions;
GRANT USAGE, CREATE ON SCHEMA platform TO goalpost_system_views;

CREATE TABLE platform.tenants (
    tenant_id text COLLATE "C" PRIMARY KEY CHECK (tenant_id ~ '^[A-Za-z0-9_-]{1,64}$'),
    name text,
    taxonomy text NOT NULL DEFAULT 'open' CHECK (taxonomy IN ('open', 'strict')),
    default_currency text NOT NULL DEFAULT 'USD' CHECK (default_currency ~ '^[A-Z]{3}$'),
    max_properties_bytes integer NOT NULL DEFAULT 2048 CHECK (max_properties_bytes BETWEEN 256 AND 32768),
    content_key bytea NOT NULL CHECK (length(content_key) = 32),
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE platform.tenants IS 'The customers of the installation and their settings.';
COMMENT ON COLUMN platform.tenants.content_key IS 'Keys the content hash of the event ledger (HMAC-SHA-256), so that a hash tells nothing about its event.';
SELECT platform.protect('platform.tenants', '{goalpost_goals,goalpost_owner}', '{goalpost_goals_system,goalpost_system_views}');
GRANT SELECT, UPDATE ON platform.tenants TO goalpost_goals;
GRANT SELECT, INSERT, UPDATE ON platform.tenants TO goalpost_goals_system;
GRANT SELECT ON platform.tenants TO goalpost_system_views;

-- Credentials are looked up before a tenant is known, so only system logins reach them; the secret itself is never kept.
CREATE TABLE platform.write_tokens (
    id text COLLATE "C" PRIMARY KEY,
    tenant_id text COLLATE "C" NOT NULL REFERENCES platform.tenants,
    kind text NOT NULL CHECK (kind = 'server'),
    secret_hash bytea NOT NULL CHECK (length(secret_hash) = 32),
    created_by text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz,
    revoked_at timestamptz
);
COMMENT ON TABLE platform.write_tokens IS 'Secrets that may only write events of their tenant (SHA-256 of the secret).';
CREATE INDEX write_tokens_tenant ON platform.write_tokens (tenant_id, created_at);
SELECT platform.protect('platform.write_tokens', '{}', '{goalpost_goals_system,goalpost_system_views}');
GRANT SELECT, INSERT, UPDATE ON platform.write_tokens TO goalpost_goals_system;
GRANT SELECT ON platform.write_tokens TO goalpost_system_views;

CREATE TABLE platform.api_keys (
    id text COLLATE "C" PRIMARY KEY,
    tenant_id text COLLATE "C" REFERENCES platform.tenants,
    role text NOT NULL CHECK (role IN ('viewer', 'editor', 'admin', 'operator')),
    secret_hash bytea NOT NULL CHECK (length(secret_hash) = 32),
    created_by text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz,
    revoked_at timestamptz,
    CHECK ((role = 'operator') = (tenant_id IS NULL))
);
COMMENT ON TABLE platform.api_keys IS 'Secrets of internal callers, with a role; operator keys belong to the installation (SHA-256 of the secret).';
CREATE INDEX api_keys_tenant ON platform.api_keys (tenant_id, created_at);
SELECT platform.protect('platform.api_keys', '{}', '{goalpost_goals_system,goalpost_system_views}');
GRANT SELECT, INSERT, UPDATE ON platform.api_keys TO goalpost_goals_system;
GRANT SELECT ON platform.api_keys TO goalpost_system_views;

-- What the services ask of a presented secret. Only live ones: revocation and expiry hold by the database's clock.
CREATE VIEW platform.v_write_tokens_v1 AS
SELECT k.id, k.tenant_id, k.kind, k.secret_hash, t.taxonomy, t.max_properties_bytes, t.content_key
FROM platform.write_tokens k JOIN platform.tenants t ON t.tenant_id = k.tenant_id
WHERE k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > now());
GRANT SELECT ON platform.v_write_tokens_v1 TO goalpost_ingest_system;
ALTER VIEW platform.v_write_tokens_v1 OWNER TO goalpost_system_views;

CREATE VIEW platform.v_api_keys_v1 AS
SELECT k.id, k.tenant_id, k.role, k.secret_hash
FROM platform.api_keys k
WHERE k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > now());
GRANT SELECT ON platform.v_api_keys_v1 TO goalpost_ingest_system, goalpost_goals_system, goalpost_evaluator_system,
    goalpost_analytics_system;
ALTER VIEW platform.v_api_keys_v1 OWNER TO goalpost_system_views;

-- What the bus door of ingest needs to know of a tenant named by a message.
CREATE VIEW platform.v_tenants_v1 AS
SELECT t.tenant_id, t.taxonomy, t.max_properties_bytes, t.content_key FROM platform.tenants t;
GRANT SELECT ON platform.v_tenants_v1 TO goalpost_ingest_system;
ALTER VIEW platform.v_tenants_v1 OWNER TO goalpost_system_views;
