-- What `goalpost maintain` needs to take away what is kept no longer. The events are those of goalpost_partitions, whose member it is.
GRANT SELECT, DELETE ON ingest.event_keys TO goalpost_maintainer;
CREATE POLICY expiry_rows ON ingest.event_keys AS PERMISSIVE FOR ALL TO goalpost_maintainer USING (true) WITH CHECK (true);

-- Since when something of a tenant waits to be told: events that old are not yet judged.
GRANT USAGE, CREATE ON SCHEMA ingest TO goalpost_system_views;
GRANT SELECT ON ingest.outbox TO goalpost_system_views;
CREATE POLICY view_rows ON ingest.outbox AS PERMISSIVE FOR SELECT TO goalpost_system_views USING (true);
CREATE VIEW ingest.v_oldest_messages_v1 AS
SELECT o.tenant_id, min(o.created_at) AS created_at FROM ingest.outbox o GROUP BY o.tenant_id;
GRANT SELECT ON ingest.v_oldest_messages_v1 TO goalpost_maintainer;
ALTER VIEW ingest.v_oldest_messages_v1 OWNER TO goalpost_system_views;

-- Drops the partition of one month. In one step: DETACH … CONCURRENTLY is refused beside a default partition, and a plain DETACH locks
-- as DROP does. The lock keeps everybody out of events_raw for the moment that it is held and for as long as it is waited for, so it is
-- not waited for long: whoever finds a reader there tries again.
CREATE FUNCTION ingest.drop_partition(month date) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog SET lock_timeout = '500ms' AS $$
BEGIN
    EXECUTE format('DROP TABLE ingest.%I', 'events_raw_' || to_char(month, 'YYYYMM'));
END $$;
REVOKE ALL ON FUNCTION ingest.drop_partition(date) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ingest.drop_partition(date) TO goalpost_maintainer;

-- When `goalpost maintain` was last done with everything, in seconds since 1970: one number, of the installation and no tenant's.
CREATE SEQUENCE ingest.maintained_at;
COMMENT ON SEQUENCE ingest.maintained_at IS 'When `goalpost maintain` was last done with everything: seconds since 1970.';
SELECT setval('ingest.maintained_at', extract(epoch FROM now())::bigint);
GRANT UPDATE ON SEQUENCE ingest.maintained_at TO goalpost_maintainer;
GRANT SELECT ON SEQUENCE ingest.maintained_at TO goalpost_ingest_system;
