-- The stored events, and the ledger that makes each of them stored once.
CREATE SCHEMA ingest;
GRANT USAGE ON SCHEMA ingest TO goalpost_ingest, goalpost_ingest_system, goalpost_evaluator, goalpost_analytics,
    goalpost_maintainer;
GRANT USAGE, CREATE ON SCHEMA ingest TO goalpost_partitions;

-- A time-partitioned table cannot carry a unique key over the event id alone, so a ledger does.
CREATE TABLE ingest.event_keys (
    received_at timestamptz NOT NULL,
    event_id uuid NOT NULL,
    content_hash bytea NOT NULL,
    tenant_id text COLLATE "C" NOT NULL,
    PRIMARY KEY (tenant_id, event_id)
);
COMMENT ON TABLE ingest.event_keys IS 'One row for every event of events_raw: the tenant and id it was stored under, and a keyed hash of its content.';
SELECT platform.protect('ingest.event_keys', '{goalpost_ingest,goalpost_owner}', '{}');
GRANT SELECT, INSERT ON ingest.event_keys TO goalpost_ingest;

CREATE TABLE ingest.events_raw (
    received_at timestamptz NOT NULL,
    event_time timestamptz NOT NULL,
    occurred_at timestamptz NOT NULL,
    sent_at timestamptz,
    event_id uuid NOT NULL,
    time_clamped boolean NOT NULL,
    tenant_id text COLLATE "C" NOT NULL,
    event_name text COLLATE "C" NOT NULL,
    contact_id text COLLATE "C",
    user_id text COLLATE "C",
    session_id text COLLATE "C",
    project_id text COLLATE "C",
    event_category text,
    properties jsonb NOT NULL,
    context jsonb
) PARTITION BY RANGE (received_at);
COMMENT ON TABLE ingest.events_raw IS 'Every stored event, partitioned by the month it was received in.';
COMMENT ON COLUMN ingest.events_raw.received_at IS 'When it was stored: the database clock at the start of the storing transaction.';
COMMENT ON COLUMN ingest.events_raw.event_time IS 'occurred_at - (sent_at - received_at) where sent_at was given, else occurred_at; never more than 5 min ahead of received_at. Evaluation and statistics use it.';
COMMENT ON COLUMN ingest.events_raw.time_clamped IS 'event_time was too far in the future and is received_at instead.';
CREATE INDEX events_raw_name ON ingest.events_raw (tenant_id, event_name, event_time DESC);
CREATE INDEX events_raw_time ON ingest.events_raw (tenant_id, event_time DESC);
CREATE INDEX events_raw_contact ON ingest.events_raw (tenant_id, contact_id, event_time) WHERE contact_id IS NOT NULL;

-- Rows for which there is no month yet; `goalpost maintain` moves them out.
CREATE TABLE ingest.events_raw_default PARTITION OF ingest.events_raw DEFAULT;

SELECT platform.protect(t, '{goalpost_ingest,goalpost_owner}', '{goalpost_partitions}')
FROM unnest('{ingest.events_raw,ingest.events_raw_default}'::regclass[]) AS t;
GRANT SELECT, INSERT ON ingest.events_raw TO goalpost_ingest;
ALTER TABLE ingest.events_raw OWNER TO goalpost_partitions;
ALTER TABLE ingest.events_raw_default OWNER TO goalpost_partitions;
-- Only after the change of owner, which takes the former owner's rights away: the view below runs with them.
SET LOCAL ROLE goalpost_partitions;
GRANT SELECT ON ingest.events_raw TO goalpost_owner;
SET LOCAL ROLE goalpost_owner;

-- Makes the partition of one month and moves in what the default partition holds of it. Created first, attached last;
-- the default partition is locked meanwhile, so no row can slip in between. Answers whether it was missing.
CREATE FUNCTION ingest.make_partition(month date) RETURNS boolean
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
    PERFORM platform.protect(partition, '{goalpost_ingest,goalpost_owner}', '{goalpost_partitions}');
    PERFORM platform.protect_for_readers(partition);
    EXECUTE format('WITH moved AS (DELETE FROM ingest.events_raw_default '
                   'WHERE received_at >= %L AND received_at < %L RETURNING *) '
                   'INSERT INTO ingest.%I SELECT * FROM moved', low, high, name);
    EXECUTE format('ALTER TABLE ingest.events_raw ATTACH PARTITION ingest.%I FOR VALUES FROM (%L) TO (%L)', name, low, high);
    RETURN true;
END $$;
REVOKE ALL ON FUNCTION ingest.make_partition(date) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ingest.make_partition(date) TO goalpost_maintainer;

SELECT platform.create_outbox('ingest', 'goalpost_ingest', 'goalpost_ingest_system');

-- What the evaluator judges by: the stored events of a contact. A plain view that runs as its owner; the owner's own
-- tenant policy on the table keeps it to the transaction's tenant (a security_barrier view would scan the whole tenant).
CREATE VIEW ingest.v_contact_events_v1 AS
SELECT e.tenant_id, e.contact_id, e.event_id, e.event_name, e.event_time, e.received_at, e.properties
FROM ingest.events_raw e
WHERE e.contact_id IS NOT NULL;
GRANT SELECT ON ingest.v_contact_events_v1 TO goalpost_evaluator;
