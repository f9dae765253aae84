-- Two helpers that give every table its policies, and every service its outbox and dead letters, in one shape.
-- They run with the rights of their caller and nobody but the owners of tables may execute them.

-- Row level security for a table with a tenant_id. `tenant_roles` see the rows of the transaction's tenant and no others:
-- one permissive policy opens the table to them and one restrictive policy, which no later policy can widen, closes
-- it to the tenant set by set_config('app.tenant_id', …, true). Unset, empty or foreign: no row, and no write.
-- `system_roles` are the narrow logins of the jobs that cross tenants (migrations/README.md lists them).
CREATE FUNCTION platform.protect(relation regclass, tenant_roles name[], system_roles name[]) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog AS $$
DECLARE
    own_rows CONSTANT text := '(tenant_id = (SELECT nullif(current_setting(''app.tenant_id'', true), '''')))';
    roles text;
BEGIN
    EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', relation);
    EXECUTE format('ALTER TABLE %s FORCE ROW LEVEL SECURITY', relation);
    IF cardinality(tenant_roles) > 0 THEN
        SELECT string_agg(quote_ident(r), ', ') INTO roles FROM unnest(tenant_roles) AS r;
        EXECUTE format('CREATE POLICY tenant_rows ON %s AS PERMISSIVE FOR ALL TO %s USING (true) WITH CHECK (true)',
                       relation, roles);
        EXECUTE format('CREATE POLICY tenant_only ON %s AS RESTRICTIVE FOR ALL TO %s USING %s WITH CHECK %s',
                       relation, roles, own_rows, own_rows);
    END IF;
    IF cardinality(system_roles) > 0 THEN
        SELECT string_agg(quote_ident(r), ', ') INTO roles FROM unnest(system_roles) AS r;
        EXECUTE format('CREATE POLICY system_rows ON %s AS PERMISSIVE FOR ALL TO %s USING (true) WITH CHECK (true)',
                       relation, roles);
    END IF;
END $$;
REVOKE ALL ON FUNCTION platform.protect(regclass, name[], name[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION platform.protect(regclass, name[], name[]) TO goalpost_partitions;

-- The rows an analyst's login may see through the views in `reporting`, by its name and never by a setting.
CREATE FUNCTION platform.protect_for_readers(relation regclass) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog AS $$
BEGIN
    EXECUTE format('CREATE POLICY reader_rows ON %s AS PERMISSIVE FOR SELECT TO goalpost_reporting '
                   'USING (tenant_id IN (SELECT r.tenant_id FROM reporting.readers r WHERE r.role_name = current_user))',
                   relation);
END $$;
REVOKE ALL ON FUNCTION platform.protect_for_readers(regclass) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION platform.protect_for_readers(regclass) TO goalpost_partitions;

-- `outbox` and `dead_letters` of one schema. The service's tenant login may only add outbox rows; its system login
-- relays and deletes them, and keeps the dead letters.
CREATE FUNCTION platform.create_outbox(schema_name name, service_role name, system_role name) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog AS $$
BEGIN
    EXECUTE format($ddl$
        CREATE TABLE %1$I.outbox (
            id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            message_id uuid NOT NULL,
            created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
            not_before timestamptz,
            attempts integer NOT NULL DEFAULT 0,
            mandatory boolean NOT NULL,
            tenant_id text COLLATE "C" NOT NULL,
            exchange text NOT NULL,
            routing_key text NOT NULL,
            content_type text NOT NULL,
            payload bytea NOT NULL,
            last_error text
        ) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000, autovacuum_vacuum_cost_delay = 0,
                autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 2000)
        $ddl$, schema_name);
    EXECUTE format('COMMENT ON TABLE %I.outbox IS %L', schema_name,
        'Messages whose transaction has committed and whose publication is not yet confirmed: the to-do list of the relay.');
    EXECUTE format($ddl$
        CREATE TABLE %1$I.dead_letters (
            id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            tenant_id text COLLATE "C",
            queue text NOT NULL,
            routing_key text NOT NULL,
            message_id uuid,
            code text NOT NULL,
            cause text NOT NULL,
            attempts integer NOT NULL,
            first_seen_at timestamptz NOT NULL DEFAULT clock_timestamp(),
            last_seen_at timestamptz NOT NULL DEFAULT clock_timestamp(),
            payload bytea NOT NULL
        )
        $ddl$, schema_name);
    EXECUTE format('COMMENT ON TABLE %I.dead_letters IS %L', schema_name,
        'Messages given up: where they died, their bytes, and why.');
    PERFORM platform.protect(format('%I.outbox', schema_name)::regclass, ARRAY[service_role], ARRAY[system_role]);
    PERFORM platform.protect(format('%I.dead_letters', schema_name)::regclass, ARRAY[]::name[], ARRAY[system_role]);
    EXECUTE format('GRANT INSERT ON %I.outbox TO %I', schema_name, service_role);
    EXECUTE format('GRANT SELECT, UPDATE, DELETE ON %I.outbox TO %I', schema_name, system_role);
    EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I.dead_letters TO %I', schema_name, system_role);
END $$;
REVOKE ALL ON FUNCTION platform.create_outbox(name, name, name) FROM PUBLIC;
