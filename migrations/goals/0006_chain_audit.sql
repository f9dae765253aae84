-- The audit log becomes a chain per tenant: each row has the next number and a hash over every column and the hash of the row
-- before it. A trigger does it, so whoever adds a row, also a service of the version before, adds to the chain.
-- `before` and `after` become json: the text that is hashed is the text that is stored, to the byte.

-- Where each chain ends: removing its newest rows is seen too. The row is held from the trigger to the commit, so
-- transactions of one tenant chain one after another.
CREATE TABLE goals.audit_heads (
    tenant_id text COLLATE "C" PRIMARY KEY REFERENCES platform.tenants,
    seq bigint NOT NULL DEFAULT 0,
    hash bytea NOT NULL DEFAULT decode(repeat('00', 32), 'hex') CHECK (length(hash) = 32)
) WITH (fillfactor = 50);
COMMENT ON TABLE goals.audit_heads IS 'How many rows the audit log of a tenant has, and the hash of the last one.';
SELECT platform.protect('goals.audit_heads', '{goalpost_goals,goalpost_owner}', '{goalpost_goals_system}');
GRANT SELECT, INSERT, UPDATE ON goals.audit_heads TO goalpost_goals, goalpost_goals_system;

-- For this transaction, which holds the table, its owner sees every tenant's rows.
ALTER TABLE goals.audit NO FORCE ROW LEVEL SECURITY;
ALTER TABLE goals.audit_heads NO FORCE ROW LEVEL SECURITY;

ALTER TABLE goals.audit
    ALTER COLUMN before TYPE json USING before::text::json,
    ALTER COLUMN after TYPE json USING after::text::json,
    ADD COLUMN seq bigint,
    ADD COLUMN prev_hash bytea CHECK (length(prev_hash) = 32),
    ADD COLUMN hash bytea CHECK (length(hash) = 32);
COMMENT ON COLUMN goals.audit.seq IS '1, 2, 3 … within the tenant, in the order of the commits.';
COMMENT ON COLUMN goals.audit.prev_hash IS 'The hash of the row before; 32 zero bytes before the first.';
COMMENT ON COLUMN goals.audit.hash IS 'SHA-256 over every other column: goals.audit_hash, and once more in crates/domain/src/audit.rs.';

-- A value whose length varies, so that no two rows give the same bytes.
CREATE FUNCTION goals.audit_field(value bytea) RETURNS bytea
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog AS $$
    SELECT CASE WHEN value IS NULL THEN '\x00'::bytea ELSE '\x01'::bytea || int8send(length(value)::bigint) || value END
$$;

-- The hash of a row. `goalpost audit verify` computes it from the same bytes.
CREATE FUNCTION goals.audit_hash(entry goals.audit) RETURNS bytea
LANGUAGE sql STABLE SET search_path = pg_catalog AS $$
    SELECT sha256(convert_to('goalpost.audit.1', 'UTF8') || goals.audit_field(entry.prev_hash)
        || int8send(entry.seq) || int8send(entry.id) || int8send((extract(epoch FROM entry.at) * 1000000)::bigint)
        || goals.audit_field(convert_to(entry.tenant_id, 'UTF8')) || goals.audit_field(convert_to(entry.actor, 'UTF8'))
        || goals.audit_field(convert_to(entry.action, 'UTF8')) || goals.audit_field(convert_to(entry.object_type, 'UTF8'))
        || goals.audit_field(convert_to(entry.object_id, 'UTF8'))
        || goals.audit_field(convert_to(entry.before::text, 'UTF8')) || goals.audit_field(convert_to(entry.after::text, 'UTF8')))
$$;

-- What is there already, in the order in which it came.
DO $$
DECLARE
    entry goals.audit%ROWTYPE;
    head goals.audit_heads%ROWTYPE;
BEGIN
    FOR entry IN SELECT * FROM goals.audit a ORDER BY a.tenant_id, a.id LOOP
        IF head.tenant_id IS DISTINCT FROM entry.tenant_id THEN
            INSERT INTO goals.audit_heads (tenant_id) VALUES (entry.tenant_id) RETURNING * INTO head;
        END IF;
        entry.seq := head.seq + 1;
        entry.prev_hash := head.hash;
        head.hash := goals.audit_hash(entry);
        head.seq := entry.seq;
        UPDATE goals.audit a SET seq = entry.seq, prev_hash = entry.prev_hash, hash = head.hash
        WHERE a.tenant_id = entry.tenant_id AND a.id = entry.id;
    END LOOP;
    UPDATE goals.audit_heads h SET seq = a.seq, hash = a.hash
    FROM (SELECT DISTINCT ON (tenant_id) tenant_id, seq, hash FROM goals.audit ORDER BY tenant_id, seq DESC) a
    WHERE a.tenant_id = h.tenant_id;
END $$;

ALTER TABLE goals.audit
    ALTER COLUMN seq SET NOT NULL, ALTER COLUMN prev_hash SET NOT NULL, ALTER COLUMN hash SET NOT NULL,
    ADD CONSTRAINT audit_seq UNIQUE (tenant_id, seq);
DROP INDEX goals.audit_object;
CREATE INDEX audit_object ON goals.audit (tenant_id, object_id, seq DESC);
ALTER TABLE goals.audit FORCE ROW LEVEL SECURITY;
ALTER TABLE goals.audit_heads FORCE ROW LEVEL SECURITY;

-- Runs with the rights of who adds the row, held to its tenant by the policies of audit_heads. Time, number and hashes are given here,
-- whatever the statement says.
CREATE FUNCTION goals.chain_audit() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog AS $$
DECLARE
    head goals.audit_heads%ROWTYPE;
BEGIN
    SELECT * INTO head FROM goals.audit_heads h WHERE h.tenant_id = NEW.tenant_id FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        INSERT INTO goals.audit_heads (tenant_id) VALUES (NEW.tenant_id) ON CONFLICT (tenant_id) DO NOTHING;
        SELECT * INTO STRICT head FROM goals.audit_heads h WHERE h.tenant_id = NEW.tenant_id FOR NO KEY UPDATE;
    END IF;
    NEW.at := clock_timestamp();
    NEW.seq := head.seq + 1;
    NEW.prev_hash := head.hash;
    NEW.hash := goals.audit_hash(NEW);
    UPDATE goals.audit_heads h SET seq = NEW.seq, hash = NEW.hash WHERE h.tenant_id = NEW.tenant_id;
    RETURN NEW;
END $$;
CREATE TRIGGER chain BEFORE INSERT ON goals.audit FOR EACH ROW EXECUTE FUNCTION goals.chain_audit();

REVOKE ALL ON FUNCTION goals.audit_field(bytea), goals.audit_hash(goals.audit), goals.chain_audit() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION goals.audit_field(bytea), goals.audit_hash(goals.audit) TO goalpost_goals, goalpost_goals_system;
