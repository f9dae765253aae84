-- What explaining and simulating need beside what judging reads: the goals of a workflow whatever its status and theirs, and
-- whether what a draft points at is there. Plain views that run as their owner.
CREATE VIEW goals.v_workflow_goals_v1 AS
SELECT w.tenant_id, w.id AS workflow_id, w.status AS workflow_status, w.goal_logic, g.id AS goal_id, g.goal_type, g.event_name,
       g.criteria, g.within_seconds, g.on_enroll, g.position, g.status, g.version, g.created_at, g.effective_from
FROM goals.workflows w JOIN goals.goals g ON g.tenant_id = w.tenant_id AND g.workflow_id = w.id
WHERE g.deleted_at IS NULL;

CREATE VIEW goals.v_references_v1 AS
SELECT d.tenant_id, d.kind, d.ref_id, d.pipeline_id
FROM goals.directory d;

GRANT SELECT ON goals.v_workflow_goals_v1, goals.v_references_v1 TO goalpost_evaluator;
