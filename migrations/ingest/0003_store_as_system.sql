-- A transaction of the committer holds events of many tenants. It stores them by one statement, and so as the login that crosses
-- tenants. Expand: the version before stores as goalpost_ingest, tenant by tenant, beside this one; what that login no longer
-- needs is taken away in a later release.
CREATE POLICY system_rows ON ingest.event_keys AS PERMISSIVE FOR ALL TO goalpost_ingest_system USING (true) WITH CHECK (true);
GRANT SELECT, INSERT ON ingest.event_keys TO goalpost_ingest_system;
GRANT INSERT ON ingest.outbox TO goalpost_ingest_system;

SET LOCAL ROLE goalpost_partitions;
GRANT INSERT ON ingest.events_raw TO goalpost_ingest_system;
DO $$
DECLARE
    relation regclass;
BEGIN
    FOR relation IN
        SELECT 'ingest.events_raw'::regclass
        UNION ALL SELECT i.inhrelid::regclass FROM pg_inherits i WHERE i.inhparent = 'ingest.events_raw'::regclass
    LOOP
        EXECUTE format('ALTER POLICY system_rows ON %s TO goalpost_partitions, goalpost_ingest_system', relation);
    END LOOP;
END $$;
SET LOCAL ROLE goalpost_owner;

-- As before, with that policy on the new partition.
CREATE OR REPLACE FUNCTION ingest.make_partition(month date) RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog AS $$
DECLARE
    low CONSTANT timestamptz := date_trunc('month', month::timestamp) AT TIME ZONE 'UTC';
    high CONSTANT timestamptz := (date_trunc('month', month::timestamp) + interval '1 month') AT TIME ZONE 'UTC';
    name CONSTANT text := 'events_raw_' || to_char(month, 'YYYYMM');
    partition regclass;
BEGIN
    IF to_regclass(format('ingest.%I', name)) IS NOT NULL THEN
        RETURN false;
    END IF;
    LOCK TABLE ingest.events_raw_default IN ACCESS EXCLUSIVE MODE;
    EXECUTE format('CREATE TABLE ingest.%I (LIKE ingest.events_raw INCLUDING ALL)', name);
    EXECUTE format('ALTER TABLE ingest.%I OWNER TO goalpost_partitions', name);
    partition := format('ingest.%I', name)::regclass;
    PERFORM platform.protect(partition, '{goalpost_ingest,goalpost_owner}', '{goalpost_partitions,goalpost_ingest_system}');
    PERFORM platform.protect_for_readers(partition);
    EXECUTE format('WITH moved AS (DELETE FROM ingest.events_raw_default '
                   'WHERE received_at >= %L AND received_at < %L RETURNING *) '
                   'INSERT INTO ingest.%I SELECT * FROM moved', low, high, name);
    EXECUTE format('ALTER TABLE ingest.events_raw ATTACH PARTITION ingest.%I FOR VALUES FROM (%L) TO (%L)', name, low, high);
    RETURN true;
END $$;
