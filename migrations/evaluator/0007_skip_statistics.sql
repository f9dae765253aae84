-- No plan depends on what JSON says; to sort samples of it cost ANALYZE more than all other columns together.
ALTER TABLE evaluator.workflow_goal_achievements
    ALTER COLUMN criteria SET STATISTICS 0, ALTER COLUMN trigger_event SET STATISTICS 0, ALTER COLUMN metadata SET STATISTICS 0;
ALTER TABLE evaluator.scheduled_actions ALTER COLUMN payload SET STATISTICS 0;
