-- A contact who is forgotten: the achievements stay, and are nobody's.
GRANT UPDATE (contact_id, trigger_event) ON evaluator.workflow_goal_achievements TO goalpost_evaluator;

-- All that is kept here of a contact, for whoever is asked what that is. A plain view that runs as its owner. Times are texts, in UTC,
-- whatever the time zone of who reads it.
CREATE VIEW evaluator.v_contact_records_v1 AS
SELECT e.tenant_id, e.contact_id, 'enrollment' AS kind, e.id, e.created_at AS at, jsonb_build_object(
    'contact_id', e.contact_id, 'workflow_id', e.workflow_id, 'status', e.status, 'version', e.version,
    'enrolled_at', to_char(e.enrolled_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
    'exited_at', to_char(e.exited_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
    'exit_reason', e.exit_reason, 'reason', e.reason, 'current_step', e.current_step) AS record
FROM evaluator.enrollments e
UNION ALL
SELECT a.tenant_id, a.contact_id, 'achievement', a.id, a.recorded_at, jsonb_build_object(
    'contact_id', a.contact_id, 'workflow_id', a.workflow_id, 'enrollment_id', a.enrollment_id, 'goal_id', a.goal_id,
    'goal_type', a.goal_type, 'event_id', a.event_id, 'event_name', a.event_name,
    'achieved_at', to_char(a.achieved_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), 'trigger_event', a.trigger_event)
FROM evaluator.workflow_goal_achievements a
UNION ALL
SELECT e.tenant_id, e.contact_id, 'action', s.id, s.created_at, jsonb_build_object(
    'contact_id', e.contact_id, 'workflow_id', e.workflow_id, 'enrollment_id', s.enrollment_id, 'action_type', s.action_type,
    'status', s.status, 'scheduled_at', to_char(s.scheduled_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
    'payload', s.payload)
FROM evaluator.enrollments e JOIN evaluator.scheduled_actions s ON s.tenant_id = e.tenant_id AND s.enrollment_id = e.id;
GRANT USAGE ON SCHEMA evaluator TO goalpost_ingest;
GRANT SELECT ON evaluator.v_contact_records_v1 TO goalpost_ingest;
