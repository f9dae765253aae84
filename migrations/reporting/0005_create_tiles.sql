-- What analysts look at first. Bounds on `event_time` that do not depend on the tenant are for the index on tenant and time; those on
-- `received_at` leave all but the newest partitions alone (`event_time` is at most 5 minutes past it).
GRANT USAGE ON SCHEMA platform TO goalpost_reporting;
GRANT SELECT (tenant_id, time_zone) ON platform.tenants TO goalpost_reporting;
GRANT SELECT ON evaluator.workflow_goal_achievements TO goalpost_reporting;
SELECT platform.protect_for_readers(t) FROM unnest('{platform.tenants,evaluator.workflow_goal_achievements}'::regclass[]) AS t;

CREATE VIEW reporting.events_per_minute_last_hour AS
SELECT t.tenant_id, m.minute, coalesce(e.events, 0) AS events
FROM platform.tenants t
CROSS JOIN generate_series(date_trunc('minute', now()) - interval '59 minutes', date_trunc('minute', now()), interval '1 minute') AS m (minute)
LEFT JOIN (SELECT r.tenant_id, date_trunc('minute', r.event_time) AS minute, count(*) AS events
           FROM ingest.events_raw r
           WHERE r.event_time >= date_trunc('minute', now()) - interval '59 minutes' AND r.received_at >= now() - interval '2 hours'
           GROUP BY r.tenant_id, date_trunc('minute', r.event_time)) AS e ON e.tenant_id = t.tenant_id AND e.minute = m.minute;
COMMENT ON VIEW reporting.events_per_minute_last_hour IS
    'Events by the minute of their event_time: the current minute and the 59 before it, those without an event too.';

CREATE VIEW reporting.events_by_name_today AS
SELECT t.tenant_id, e.event_name, count(*) AS events
FROM platform.tenants t
JOIN ingest.events_raw e ON e.tenant_id = t.tenant_id
                        AND (e.event_time AT TIME ZONE t.time_zone)::date = (now() AT TIME ZONE t.time_zone)::date
WHERE e.event_time >= now() - interval '26 hours' AND e.received_at >= now() - interval '27 hours'
GROUP BY t.tenant_id, e.event_name;
COMMENT ON VIEW reporting.events_by_name_today IS 'Events by name whose event_time is today in the time zone of the tenant.';

CREATE VIEW reporting.conversations_per_day AS
SELECT c.tenant_id, (c.started_at AT TIME ZONE t.time_zone)::date AS day, count(*) AS conversations,
       count(*) FILTER (WHERE c.escalated) AS escalated
FROM (SELECT e.tenant_id, min(e.event_time) FILTER (WHERE e.event_name = 'conversation_started') AS started_at,
             bool_or(e.event_name = 'escalation_triggered') AS escalated
      FROM ingest.events_raw e
      WHERE e.event_name IN ('conversation_started', 'escalation_triggered')
      GROUP BY e.tenant_id, e.properties ->> 'conversationId') AS c
JOIN platform.tenants t ON t.tenant_id = c.tenant_id
WHERE c.started_at IS NOT NULL
GROUP BY c.tenant_id, day;
COMMENT ON VIEW reporting.conversations_per_day IS
    'Conversations by the day of their first conversation_started in the time zone of the tenant; escalated: those with an escalation_triggered, whenever that came.';

CREATE VIEW reporting.escalation_rate AS
SELECT d.tenant_id, d.day, d.conversations, d.escalated, round(100.0 * d.escalated / d.conversations, 1) AS escalation_rate
FROM reporting.conversations_per_day d;
COMMENT ON VIEW reporting.escalation_rate IS
    'Percent of the conversations of a day that were escalated, one decimal, half away from zero. A day without a conversation has no row.';

CREATE VIEW reporting.goal_achievements AS
SELECT a.tenant_id, a.workflow_id, a.enrollment_id, a.goal_id, a.goal_type, a.goal_version, a.contact_id, a.event_id, a.event_name,
       a.achieved_at, a.recorded_at
FROM evaluator.workflow_goal_achievements a;
COMMENT ON VIEW reporting.goal_achievements IS 'Each goal that an enrollment achieved, and the event that met it; achieved_at is the time of that event.';

CREATE VIEW reporting.enrollment_funnel AS
SELECT w.tenant_id, w.id AS workflow_id, w.name AS workflow_name, count(e.id) AS enrolled, count(a.enrollment_id) AS achieved_a_goal,
       count(e.id) FILTER (WHERE e.status = 'completed_goal') AS exited_by_goal,
       count(e.id) FILTER (WHERE e.status = 'active') AS active, count(e.id) FILTER (WHERE e.status = 'completed') AS completed,
       count(e.id) FILTER (WHERE e.status = 'removed') AS removed, count(e.id) FILTER (WHERE e.status = 'failed') AS failed
FROM goals.workflows w
LEFT JOIN evaluator.enrollments e ON e.tenant_id = w.tenant_id AND e.workflow_id = w.id
LEFT JOIN (SELECT DISTINCT g.tenant_id, g.enrollment_id FROM evaluator.workflow_goal_achievements g) AS a
       ON a.tenant_id = e.tenant_id AND a.enrollment_id = e.id
GROUP BY w.tenant_id, w.id, w.name;
COMMENT ON VIEW reporting.enrollment_funnel IS
    'Per workflow: all enrollments, those that achieved a goal, those that left by their goals; and how many stand otherwise.';

GRANT SELECT ON reporting.events_per_minute_last_hour, reporting.events_by_name_today, reporting.conversations_per_day,
    reporting.escalation_rate, reporting.goal_achievements, reporting.enrollment_funnel TO goalpost_readers;
ALTER VIEW reporting.events_per_minute_last_hour OWNER TO goalpost_reporting;
ALTER VIEW reporting.events_by_name_today OWNER TO goalpost_reporting;
ALTER VIEW reporting.conversations_per_day OWNER TO goalpost_reporting;
ALTER VIEW reporting.escalation_rate OWNER TO goalpost_reporting;
ALTER VIEW reporting.goal_achievements OWNER TO goalpost_reporting;
ALTER VIEW reporting.enrollment_funnel OWNER TO goalpost_reporting;

SET LOCAL ROLE goalpost_reporting;
CREATE OR REPLACE VIEW reporting.events_raw AS
SELECT e.tenant_id, e.event_id, e.event_name, e.event_category, e.event_time, e.occurred_at, e.received_at, e.project_id, e.user_id,
       e.contact_id, e.session_id, e.properties, e.context, e.sampling_rate
FROM ingest.events_raw e;
COMMENT ON VIEW reporting.events_raw IS 'Every stored event, without what is personal in it.';
COMMENT ON VIEW reporting.goal_conversions IS 'Per workflow: enrollments, those that left by their goals, and their share in percent, one decimal, half away from zero.';
COMMENT ON VIEW reporting.goal_time_to_goal IS 'Each enrollment that left by its goals, and the hours that it took, two decimals.';
SET LOCAL ROLE goalpost_owner;
