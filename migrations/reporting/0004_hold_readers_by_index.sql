-- The login of an analyst reads one tenant. So the policy compares with that one, which an index can be asked for; a set of tenants was
-- compared with every row of everybody. A login that the map gives a second tenant reads nothing, and is told so by an error.
CREATE OR REPLACE FUNCTION platform.protect_for_readers(relation regclass) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog AS $$
BEGIN
    EXECUTE format('CREATE POLICY reader_rows ON %s AS PERMISSIVE FOR SELECT TO goalpost_reporting '
                   'USING (tenant_id = (SELECT r.tenant_id FROM reporting.readers r WHERE r.role_name = current_user))',
                   relation);
END $$;

DROP POLICY reader_rows ON evaluator.enrollments;
DROP POLICY reader_rows ON goals.workflows;
SELECT platform.protect_for_readers(t) FROM unnest('{evaluator.enrollments,goals.workflows}'::regclass[]) AS t;
SET LOCAL ROLE goalpost_partitions;
DO $$
DECLARE
    relation regclass;
BEGIN
    FOR relation IN SELECT 'ingest.events_raw'::regclass
                    UNION ALL SELECT i.inhrelid FROM pg_inherits i WHERE i.inhparent = 'ingest.events_raw'::regclass LOOP
        EXECUTE format('DROP POLICY reader_rows ON %s', relation);
        PERFORM platform.protect_for_readers(relation);
    END LOOP;
END $$;
SET LOCAL ROLE goalpost_owner;
