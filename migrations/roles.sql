-- The roles of an installation. Roles belong to the whole server, so this is not a numbered migration: it is run
-- before them, by a superuser (or a role that may create roles), and may be run again at any time.
-- No passwords here: the operator sets them (`goalpost dev` and the tests do so for their private server).
DO $$
DECLARE
    role text;
BEGIN
    -- One statement at a time when several databases of one server are prepared at once.
    PERFORM pg_advisory_xact_lock(hashtextextended('goalpost:roles', 0));

    -- NOINHERIT matters: a role that inherited another would also inherit the rows its policies show.
    FOREACH role IN ARRAY ARRAY['goalpost_owner', 'goalpost_system_views', 'goalpost_partitions', 'goalpost_reporting',
                                'goalpost_readers']
    LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = role) THEN
            EXECUTE format('CREATE ROLE %I NOLOGIN NOINHERIT NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE', role);
        END IF;
    END LOOP;

    FOREACH role IN ARRAY ARRAY['goalpost_migrator', 'goalpost_maintainer', 'goalpost_backup',
                                'goalpost_ingest', 'goalpost_ingest_system',
                                'goalpost_goals', 'goalpost_goals_system',
                                'goalpost_evaluator', 'goalpost_evaluator_system',
                                'goalpost_analytics', 'goalpost_analytics_system']
    LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = role) THEN
            EXECUTE format('CREATE ROLE %I LOGIN NOINHERIT NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE', role);
        END IF;
        EXECUTE format('ALTER ROLE %I SET lock_timeout = ''3s''', role);
        EXECUTE format('ALTER ROLE %I SET idle_in_transaction_session_timeout = ''30s''', role);
        EXECUTE format('ALTER ROLE %I SET search_path = pg_catalog', role);
    END LOOP;

    FOREACH role IN ARRAY ARRAY['goalpost_ingest', 'goalpost_ingest_system', 'goalpost_goals', 'goalpost_goals_system',
                                'goalpost_evaluator', 'goalpost_evaluator_system']
    LOOP
        EXECUTE format('ALTER ROLE %I SET statement_timeout = ''5s''', role);
    END LOOP;
    FOREACH role IN ARRAY ARRAY['goalpost_analytics', 'goalpost_analytics_system']
    LOOP
        EXECUTE format('ALTER ROLE %I SET statement_timeout = ''30s''', role);
    END LOOP;

    -- pg_dump must fail rather than dump half, so the backup role sees every row; it may only read.
    ALTER ROLE goalpost_backup BYPASSRLS;
    -- It inherits what it is granted below: without that the grant lets it read nothing.
    ALTER ROLE goalpost_backup INHERIT;
    ALTER ROLE goalpost_backup SET default_transaction_read_only = on;
    GRANT pg_read_all_data TO goalpost_backup;

    -- The migrator becomes the owner; the owner hands views and partitions to their narrower owners.
    GRANT goalpost_owner TO goalpost_migrator;
    GRANT goalpost_system_views, goalpost_partitions, goalpost_reporting TO goalpost_owner;
    -- The only role with DDL on partitions. It inherits them, and nothing else.
    ALTER ROLE goalpost_maintainer INHERIT;
    GRANT goalpost_partitions TO goalpost_maintainer;
END $$;
