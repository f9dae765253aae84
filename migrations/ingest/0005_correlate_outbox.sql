-- Every outbox has one shape. Ingest replies to nobody; its rows leave the column empty.
ALTER TABLE ingest.outbox ADD COLUMN correlation_id text;
COMMENT ON COLUMN ingest.outbox.correlation_id IS 'Of a reply: what whoever asked knows it by.';
