-- Rows of two tenants in every table. The test fails when a table is added and not seeded here.
INSERT INTO platform.tenants (tenant_id, content_key) SELECT t, decode(repeat('00', 32), 'hex') FROM unnest('{a,b}'::text[]) AS t;
INSERT INTO platform.write_tokens (id, tenant_id, kind, secret_hash, created_by)
SELECT 'token-' || tenant_id, tenant_id, 'server', content_key, 'test' FROM platform.tenants;
INSERT INTO platform.api_keys (id, tenant_id, role, secret_hash, created_by)
SELECT 'key-' || tenant_id, tenant_id, 'admin', content_key, 'test' FROM platform.tenants;
INSERT INTO goals.epochs (tenant_id) SELECT tenant_id FROM platform.tenants;
INSERT INTO goals.workflows (tenant_id, id, name, status, activated_at, created_by)
SELECT tenant_id, gen_random_uuid(), 'w', 'active', now(), 'test' FROM platform.tenants;
INSERT INTO goals.goals (tenant_id, id, workflow_id, goal_type, event_name, criteria, criteria_hash, position, created_by)
SELECT tenant_id, gen_random_uuid(), id, 'form_submitted', 'form.submitted', '{"any_form": true}', 'x', 1, 'test' FROM goals.workflows;
INSERT INTO goals.event_types (tenant_id, name, schema, category, subject, browser, sampling_rate, created_by)
SELECT tenant_id, 'own.type', '{}', 'own', 'user', false, 1, 'test' FROM platform.tenants;
INSERT INTO goals.directory (tenant_id, kind, ref_id) SELECT tenant_id, 'tag', 't' FROM platform.tenants;
INSERT INTO goals.audit (tenant_id, actor, action, object_type, object_id)
SELECT tenant_id, 'test', 'create', 'workflow', id::text FROM goals.workflows;
-- The log of the installation, which no tenant sees.
INSERT INTO goals.audit (tenant_id, actor, action, object_type, object_id) VALUES ('', 'test', 'dead_letter.read', 'dead_letter', 'ingest/1');
INSERT INTO ingest.event_keys (received_at, event_id, content_hash, tenant_id) SELECT now(), gen_random_uuid(), 'x', tenant_id FROM platform.tenants;
INSERT INTO ingest.events_raw (received_at, event_time, occurred_at, event_id, time_clamped, tenant_id, event_name, contact_id, properties)
SELECT month, month, month, gen_random_uuid(), false, tenant_id, 'form.submitted', 'c', '{}'
FROM platform.tenants,
     unnest(ARRAY[now(), now() + interval '1 month', now() + interval '2 months', now() + interval '3 months', now() + interval '9 months']) AS month;
INSERT INTO ingest.events_raw (received_at, event_time, occurred_at, event_id, time_clamped, tenant_id, event_name, properties)
SELECT now(), at, at, gen_random_uuid(), false, tenant_id, 'conversation_started', '{"conversationId": "v"}'
-- Today has events for the views of today, also if midnight comes while the test runs.
FROM platform.tenants, unnest(ARRAY[now(), now() + interval '10 minutes']) AS at;
INSERT INTO ingest.identity_links (tenant_id, user_id, linked_at, contact_id, linked_by) SELECT tenant_id, 'u', now(), 'c', 'test' FROM platform.tenants;
INSERT INTO ingest.erasures (tenant_id, request_id, subject_hash, requested_by, requested_at)
SELECT tenant_id, gen_random_uuid(), content_key, 'test', now() FROM platform.tenants;
INSERT INTO ingest.erasure_reports (tenant_id, request_id, service, erased_at, counts)
SELECT tenant_id, request_id, 'ingest', now(), '{}' FROM ingest.erasures;
INSERT INTO evaluator.enrollments (tenant_id, id, workflow_id, contact_id, status, enrolled_at, created_at, exited_at, goal_reached_at, exit_reason)
SELECT tenant_id, gen_random_uuid(), id, 'c', 'completed_goal', now(), now(), now(), now(), 'goal_achieved' FROM goals.workflows;
INSERT INTO evaluator.scheduled_actions (tenant_id, id, enrollment_id, action_type, scheduled_at, created_at)
SELECT tenant_id, gen_random_uuid(), id, 'wait', now(), now() FROM evaluator.enrollments;
INSERT INTO evaluator.workflow_goal_achievements (tenant_id, id, workflow_id, enrollment_id, contact_id, goal_id, goal_type, goal_version, event_id,
    event_name, achieved_at, recorded_at, criteria, trigger_event)
SELECT e.tenant_id, gen_random_uuid(), e.workflow_id, e.id, 'c', g.id, g.goal_type, 1, gen_random_uuid(), g.event_name, now(), now(), '{}', '{}'
FROM evaluator.enrollments e JOIN goals.goals g USING (tenant_id);
INSERT INTO reporting.readers (tenant_id, role_name) SELECT tenant_id, 'nobody_' || tenant_id FROM platform.tenants;
DO $$
DECLARE
    s name;
BEGIN
    FOREACH s IN ARRAY '{ingest,goals,evaluator}'::name[] LOOP
        EXECUTE format('INSERT INTO %I.answers (tenant_id, scope, key, fingerprint, status, body) '
                       'SELECT tenant_id, ''bus'', ''k'', content_key, 200, ''{}'' FROM platform.tenants', s);
    END LOOP;
    FOREACH s IN ARRAY '{ingest,goals,evaluator}'::name[] LOOP
        EXECUTE format('INSERT INTO %I.outbox (message_id, mandatory, tenant_id, exchange, routing_key, content_type, payload) '
                       'SELECT gen_random_uuid(), false, tenant_id, ''e'', ''k'', ''t'', ''x'' FROM platform.tenants', s);
        EXECUTE format('INSERT INTO %I.dead_letters (tenant_id, queue, routing_key, code, cause, attempts, payload) '
                       'SELECT tenant_id, ''q'', ''k'', ''c'', ''c'', 1, ''x'' FROM platform.tenants', s);
    END LOOP;
END $$;
