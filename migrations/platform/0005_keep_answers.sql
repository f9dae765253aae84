-- Requests that have one effect, however often they come: the table in which a schema keeps what they were answered. One shape
-- for every schema, as its outbox has one.

-- `answers` of one schema. `system_roles` are those that answer before there is a tenant, or across tenants; the maintainer forgets
-- what is old. What belongs to no tenant (an operator's request) has the tenant_id '', which no transaction of a tenant can see.
CREATE FUNCTION platform.create_answers(schema_name name, service_role name, system_roles name[]) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog AS $$
DECLARE
    system_role name;
BEGIN
    EXECUTE format($ddl$
        CREATE TABLE %1$I.answers (
            tenant_id text COLLATE "C" NOT NULL,
            scope text COLLATE "C" NOT NULL,
            key text COLLATE "C" NOT NULL,
            fingerprint bytea NOT NULL CHECK (length(fingerprint) = 32),
            status smallint,
            body text,
            created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
            PRIMARY KEY (tenant_id, scope, key)
        ) WITH (fillfactor = 80)
        $ddl$, schema_name);
    EXECUTE format('COMMENT ON TABLE %I.answers IS %L', schema_name,
        'What requests were answered, written with their effect: a repeated one has none, and the same answer.');
    EXECUTE format('COMMENT ON COLUMN %I.answers.scope IS %L', schema_name, 'Within what the key is one: bus, or a route of HTTP with its ids.');
    EXECUTE format('COMMENT ON COLUMN %I.answers.fingerprint IS %L', schema_name, 'SHA-256 of what was asked for.');
    EXECUTE format('COMMENT ON COLUMN %I.answers.status IS %L', schema_name,
        'Of HTTP, also for the bus. Null only within the transaction that carries the request out.');
    -- Each is kept for another time: two indexes, of which a row is in one.
    EXECUTE format('CREATE INDEX answers_old_http ON %I.answers (created_at) WHERE scope <> ''bus''', schema_name);
    EXECUTE format('CREATE INDEX answers_old_bus ON %I.answers (created_at) WHERE scope = ''bus''', schema_name);
    PERFORM platform.protect(format('%I.answers', schema_name)::regclass, ARRAY[service_role], system_roles || '{goalpost_maintainer}'::name[]);
    FOREACH system_role IN ARRAY system_roles || service_role LOOP
        EXECUTE format('GRANT SELECT, INSERT, UPDATE ON %I.answers TO %I', schema_name, system_role);
    END LOOP;
    EXECUTE format('GRANT USAGE ON SCHEMA %I TO goalpost_maintainer', schema_name);
    EXECUTE format('GRANT SELECT, DELETE ON %I.answers TO goalpost_maintainer', schema_name);
END $$;
REVOKE ALL ON FUNCTION platform.create_answers(name, name, name[]) FROM PUBLIC;
