-- Events of a type that is sampled say at what rate, so that counts can be scaled.
SET LOCAL ROLE goalpost_partitions;
ALTER TABLE ingest.events_raw ADD COLUMN sampling_rate real;
COMMENT ON COLUMN ingest.events_raw.sampling_rate IS 'The share of sessions that were kept when it was stored; null: all.';
SET LOCAL ROLE goalpost_owner;
