-- No plan depends on what the JSON of events says; to sort samples of it cost ANALYZE more than all other columns together.
SET LOCAL ROLE goalpost_partitions;
ALTER TABLE ingest.events_raw ALTER COLUMN properties SET STATISTICS 0, ALTER COLUMN context SET STATISTICS 0;
SET LOCAL ROLE goalpost_owner;

-- As before, and so for the new partition: LIKE does not copy it.
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
    EXECUTE format('ALTER TABLE ingest.%I ALTER COLUMN properties SET STATISTICS 0, ALTER COLUMN context SET STATISTICS 0', name);
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
