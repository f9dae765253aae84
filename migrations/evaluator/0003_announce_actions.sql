-- Due actions are announced: once, and while their workflow is active. Additive: what does not know the columns goes on writing
-- rows without them, and what was due before is announced by the first evaluator that does.
ALTER TABLE evaluator.scheduled_actions ADD COLUMN announced_at timestamptz, ADD COLUMN held_by uuid;
COMMENT ON COLUMN evaluator.scheduled_actions.announced_at IS 'When workflow.action.due was told of it: with the commit that wrote the message.';
COMMENT ON COLUMN evaluator.scheduled_actions.held_by IS 'The workflow that was not active when it was due. Null again with the announcement.';

-- What waits for its time, and what is held back, apart: however much is held, the first is as short as what is due.
CREATE INDEX scheduled_actions_due ON evaluator.scheduled_actions (tenant_id, scheduled_at, id)
    WHERE status = 'pending' AND announced_at IS NULL AND held_by IS NULL;
CREATE INDEX scheduled_actions_held ON evaluator.scheduled_actions (tenant_id, held_by, scheduled_at, id)
    WHERE status = 'pending' AND announced_at IS NULL AND held_by IS NOT NULL;

GRANT USAGE, CREATE ON SCHEMA evaluator TO goalpost_system_views;
CREATE POLICY system_rows ON evaluator.scheduled_actions AS PERMISSIVE FOR ALL TO goalpost_system_views USING (true) WITH CHECK (true);
GRANT SELECT ON evaluator.scheduled_actions TO goalpost_system_views;

-- Read across tenants by the evaluator, again and again: whose actions are due? A row without workflow_id: a tenant of which an
-- action has come due; with it: a workflow that held actions back and is active again. From each tenant to the next, and from each
-- workflow that holds to the next, by one look into the index: it costs as many as there are, not as many as their actions.
CREATE VIEW evaluator.v_due_v1 AS
WITH RECURSIVE waiting AS (
    (SELECT a.tenant_id, a.scheduled_at FROM evaluator.scheduled_actions a
     WHERE a.status = 'pending' AND a.announced_at IS NULL AND a.held_by IS NULL
     ORDER BY a.tenant_id, a.scheduled_at LIMIT 1)
    UNION ALL
    SELECT n.tenant_id, n.scheduled_at FROM waiting w CROSS JOIN LATERAL (
        SELECT a.tenant_id, a.scheduled_at FROM evaluator.scheduled_actions a
        WHERE a.status = 'pending' AND a.announced_at IS NULL AND a.held_by IS NULL AND a.tenant_id > w.tenant_id
        ORDER BY a.tenant_id, a.scheduled_at LIMIT 1) n
), held AS (
    (SELECT a.tenant_id, a.held_by FROM evaluator.scheduled_actions a
     WHERE a.status = 'pending' AND a.announced_at IS NULL AND a.held_by IS NOT NULL
     ORDER BY a.tenant_id, a.held_by LIMIT 1)
    UNION ALL
    SELECT n.tenant_id, n.held_by FROM held h CROSS JOIN LATERAL (
        SELECT a.tenant_id, a.held_by FROM evaluator.scheduled_actions a
        WHERE a.status = 'pending' AND a.announced_at IS NULL AND a.held_by IS NOT NULL
        AND (a.tenant_id, a.held_by) > (h.tenant_id, h.held_by)
        ORDER BY a.tenant_id, a.held_by LIMIT 1) n
)
SELECT w.tenant_id, NULL::uuid AS workflow_id FROM waiting w WHERE w.scheduled_at <= now()
UNION ALL
SELECT h.tenant_id, h.held_by FROM held h CROSS JOIN LATERAL (
    SELECT FROM goals.workflows f WHERE f.tenant_id = h.tenant_id AND f.id = h.held_by AND f.status = 'active' OFFSET 0) f;
GRANT SELECT ON evaluator.v_due_v1 TO goalpost_evaluator_system;
ALTER VIEW evaluator.v_due_v1 OWNER TO goalpost_system_views;
