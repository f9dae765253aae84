-- What requests and commands were answered.
SELECT platform.create_answers('evaluator', 'goalpost_evaluator', '{}');

-- A reply goes out with what the asker knows it by. Additive: what does not know the column goes on writing rows without it, and a
-- relay that does not know it sends the reply without the property (its message id is in the body).
ALTER TABLE evaluator.outbox ADD COLUMN correlation_id text;
COMMENT ON COLUMN evaluator.outbox.correlation_id IS 'Of a reply: what whoever asked knows it by.';
