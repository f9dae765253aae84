-- For analysts: views that a login sees one tenant through, whatever it SETs. Readers have no right on any table.
CREATE SCHEMA reporting;
GRANT USAGE ON SCHEMA reporting TO goalpost_readers;
GRANT USAGE, CREATE ON SCHEMA reporting TO goalpost_reporting;
GRANT USAGE ON SCHEMA reporting TO goalpost_partitions;
GRANT USAGE ON SCHEMA ingest, evaluator, goals TO goalpost_reporting;

CREATE TABLE reporting.readers (
    tenant_id text COLLATE "C" NOT NULL REFERENCES platform.tenants,
    role_name name NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, role_name)
);
COMMENT ON TABLE reporting.readers IS 'Which tenant the login of an analyst reads.';
ALTER TABLE reporting.readers ENABLE ROW LEVEL SECURITY;
ALTER TABLE reporting.readers FORCE ROW LEVEL SECURITY;
CREATE POLICY reader_self ON reporting.readers AS PERMISSIVE FOR SELECT TO goalpost_reporting USING (role_name = current_user);
GRANT SELECT ON reporting.readers TO goalpost_reporting;

GRANT SELECT ON evaluator.enrollments, goals.workflows TO goalpost_reporting;
SELECT platform.protect_for_readers(t)
FROM unnest('{evaluator.enrollments,goals.workflows}'::regclass[]) AS t;
SET LOCAL ROLE goalpost_partitions;
GRANT SELECT ON ingest.events_raw TO goalpost_reporting;
SELECT platform.protect_for_readers(t) FROM unnest('{ingest.events_raw,ingest.events_raw_default}'::regclass[]) AS t;
SET LOCAL ROLE goalpost_owner;

CREATE VIEW reporting.events_raw AS
SELECT e.tenant_id, e.event_id, e.event_name, e.event_category, e.event_time, e.occurred_at, e.received_at, e.project_id, e.user_id,
       e.contact_id, e.session_id, e.properties, e.context
FROM ingest.events_raw e;

CREATE VIEW reporting.goal_conversions AS
SELECT w.tenant_id, w.id AS workflow_id, w.name AS workflow_name, count(e.id) AS total_enrolled,
       count(e.id) FILTER (WHERE e.status = 'completed_goal') AS goals_achieved,
       coalesce(round(100.0 * count(e.id) FILTER (WHERE e.status = 'completed_goal') / nullif(count(e.id), 0), 1), 0.0) AS conversion_rate
FROM goals.workflows w LEFT JOIN evaluator.enrollments e ON e.tenant_id = w.tenant_id AND e.workflow_id = w.id
GROUP BY w.tenant_id, w.id, w.name;

CREATE VIEW reporting.goal_time_to_goal AS
SELECT e.tenant_id, e.workflow_id, e.id AS enrollment_id, e.enrolled_at, e.goal_reached_at,
       round(extract(epoch FROM e.goal_reached_at - e.enrolled_at) / 3600, 2) AS hours_to_goal
FROM evaluator.enrollments e WHERE e.status = 'completed_goal';

GRANT SELECT ON reporting.events_raw, reporting.goal_conversions, reporting.goal_time_to_goal TO goalpost_readers;
ALTER VIEW reporting.events_raw OWNER TO goalpost_reporting;
ALTER VIEW reporting.goal_conversions OWNER TO goalpost_reporting;
ALTER VIEW reporting.goal_time_to_goal OWNER TO goalpost_reporting;
