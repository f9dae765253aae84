-- What waits for the bus is read once, soon, and deleted: its compression has to be cheap rather than good. pglz costs ingest a tenth
-- of what PostgreSQL does for an event, lz4 a tenth of that. A PostgreSQL that was built without lz4 keeps pglz.
DO $$
BEGIN
    IF 'lz4' = ANY (SELECT unnest(s.enumvals) FROM pg_catalog.pg_settings s WHERE s.name = 'default_toast_compression') THEN
        ALTER TABLE ingest.outbox ALTER COLUMN payload SET COMPRESSION lz4;
    END IF;
END
$$;
