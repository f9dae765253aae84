-- Operators look at dead letters through goals, and have them given again or thrown away. Its system login may for that, in the
-- schemas of other services: read what a fresh delivery needs, delete a letter, and add to the outbox what goes past every exchange
-- into a queue of that very service. Nothing else: it changes no letter, keeps none, and neither reads nor changes an outbox.
GRANT USAGE ON SCHEMA ingest, evaluator TO goalpost_goals_system;
DO $$
DECLARE
    schema_name name;
BEGIN
    FOREACH schema_name IN ARRAY '{ingest,evaluator}'::name[] LOOP
        EXECUTE format('GRANT SELECT (id, tenant_id, queue, routing_key, message_id, payload), DELETE ON %I.dead_letters '
                       'TO goalpost_goals_system', schema_name);
        EXECUTE format('ALTER POLICY operator_rows ON %I.dead_letters TO goalpost_system_views, goalpost_goals_system', schema_name);
        EXECUTE format('CREATE POLICY operator_settles ON %I.dead_letters AS PERMISSIVE FOR DELETE TO goalpost_goals_system '
                       'USING (true)', schema_name);
        EXECUTE format('CREATE POLICY operator_requeues ON %I.outbox AS PERMISSIVE FOR INSERT TO goalpost_goals_system '
                       'WITH CHECK (exchange = '''' AND mandatory AND starts_with(routing_key, %L))', schema_name, schema_name || '.');
    END LOOP;
END $$;
GRANT INSERT (message_id, mandatory, tenant_id, exchange, routing_key, content_type, payload)
    ON ingest.outbox, goals.outbox, evaluator.outbox TO goalpost_goals_system;
