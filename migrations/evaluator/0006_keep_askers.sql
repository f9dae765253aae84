-- A letter keeps who waits for its answer, so that a command that is given again is answered as it would have been.
ALTER TABLE evaluator.dead_letters ADD COLUMN reply_to text, ADD COLUMN correlation_id text;
COMMENT ON COLUMN evaluator.dead_letters.reply_to IS 'The queue in which its answer is waited for.';
COMMENT ON COLUMN evaluator.dead_letters.correlation_id IS 'What whoever waits knows the answer by.';
ALTER TABLE evaluator.outbox ADD COLUMN reply_to text;
COMMENT ON COLUMN evaluator.outbox.reply_to IS 'Of a command that is given again: the queue in which its answer is waited for.';
GRANT SELECT (reply_to, correlation_id) ON evaluator.dead_letters TO goalpost_goals_system;
GRANT INSERT (reply_to, correlation_id) ON evaluator.outbox TO goalpost_goals_system;
