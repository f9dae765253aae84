-- The event types that a tenant adds to the built-in ones. Deletion is soft, so that a type that comes again goes on in its versions.
CREATE TABLE goals.event_types (
    tenant_id text COLLATE "C" NOT NULL REFERENCES platform.tenants,
    name text COLLATE "C" NOT NULL CHECK (length(name) BETWEEN 1 AND 128),
    schema jsonb NOT NULL,
    description text,
    category text,
    subject text NOT NULL CHECK (subject IN ('contact', 'user', 'tenant', 'none')),
    browser boolean NOT NULL,
    sampling_rate real NOT NULL CHECK (sampling_rate > 0 AND sampling_rate <= 1),
    version integer NOT NULL DEFAULT 1,
    created_by text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    deleted_at timestamptz,
    PRIMARY KEY (tenant_id, name)
);
COMMENT ON TABLE goals.event_types IS 'Event types of tenants: whom such an event is about, and the JSON Schema of its properties.';
COMMENT ON COLUMN goals.event_types.sampling_rate IS 'The share of sessions whose events of the type are stored.';
SELECT platform.protect('goals.event_types', '{goalpost_goals,goalpost_owner}', '{}');
GRANT SELECT, INSERT, UPDATE ON goals.event_types TO goalpost_goals;

-- What ingest checks events by.
CREATE VIEW goals.v_event_types_v1 AS
SELECT t.tenant_id, t.name, t.schema, t.subject, t.browser, t.sampling_rate, t.version
FROM goals.event_types t WHERE t.deleted_at IS NULL;
GRANT USAGE ON SCHEMA goals TO goalpost_ingest;
GRANT SELECT ON goals.v_event_types_v1 TO goalpost_ingest;
