-- A page of those that were removed, failed or completed, where few are among many: without it, all enrollments of the workflow were
-- read. Exits by goals, which are many and fast, have no entry.
CREATE INDEX enrollments_ended ON evaluator.enrollments (tenant_id, workflow_id, status, created_at DESC, id DESC)
    WHERE status NOT IN ('active', 'completed_goal');
