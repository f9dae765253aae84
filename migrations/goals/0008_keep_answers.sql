-- What requests and commands were answered; tenants and credentials are made by the system login.
SELECT platform.create_answers('goals', 'goalpost_goals', '{goalpost_goals_system}');

-- A reply goes out with what the asker knows it by. Additive: what does not know the column goes on writing rows without it, and a
-- relay that does not know it sends the reply without the property (its message id is in the body).
ALTER TABLE goals.outbox ADD COLUMN correlation_id text;
COMMENT ON COLUMN goals.outbox.correlation_id IS 'Of a reply: what whoever asked knows it by.';
