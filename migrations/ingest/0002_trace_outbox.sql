-- A message of the outbox goes on with the trace of what caused it, and tells how many events wait in it. Additive: what
-- does not know the columns goes on writing rows without them.
ALTER TABLE ingest.outbox ADD COLUMN traceparent text, ADD COLUMN events integer NOT NULL DEFAULT 0;
COMMENT ON COLUMN ingest.outbox.traceparent IS 'W3C trace context of what caused the message.';
COMMENT ON COLUMN ingest.outbox.events IS 'How many stored events the message speaks of: what the backlog is counted in.';
