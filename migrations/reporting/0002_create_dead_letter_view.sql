-- The dead letters of all services, seen together by the operator.
GRANT USAGE ON SCHEMA ingest, evaluator TO goalpost_system_views;
DO $$
DECLARE
    schema_name name;
BEGIN
    FOREACH schema_name IN ARRAY '{ingest,goals,evaluator}'::name[] LOOP
        EXECUTE format('GRANT SELECT ON %I.dead_letters TO goalpost_system_views', schema_name);
        EXECUTE format('CREATE POLICY operator_rows ON %I.dead_letters AS PERMISSIVE FOR SELECT TO goalpost_system_views USING (true)',
                       schema_name);
    END LOOP;
END $$;

CREATE VIEW platform.v_dead_letters AS
SELECT 'ingest' AS service, d.id, d.tenant_id, d.queue, d.routing_key, d.message_id, d.code, d.cause, d.attempts, d.first_seen_at,
       d.last_seen_at, d.payload
FROM ingest.dead_letters d
UNION ALL
SELECT 'goals', d.id, d.tenant_id, d.queue, d.routing_key, d.message_id, d.code, d.cause, d.attempts, d.first_seen_at,
       d.last_seen_at, d.payload
FROM goals.dead_letters d
UNION ALL
SELECT 'evaluator', d.id, d.tenant_id, d.queue, d.routing_key, d.message_id, d.code, d.cause, d.attempts, d.first_seen_at,
       d.last_seen_at, d.payload
FROM evaluator.dead_letters d;
GRANT SELECT ON platform.v_dead_letters TO goalpost_goals_system;
ALTER VIEW platform.v_dead_letters OWNER TO goalpost_system_views;
