-- Stored events as analytics shows them. A plain view that runs as its owner; the owner's own tenant policy on the table keeps it to the
-- transaction's tenant.
CREATE VIEW ingest.v_events_v1 AS
SELECT e.tenant_id, e.event_id, e.event_name, e.event_category, e.event_time, e.occurred_at, e.received_at, e.project_id, e.user_id,
       e.contact_id, e.session_id, e.properties, e.context
FROM ingest.events_raw e;
GRANT SELECT ON ingest.v_events_v1 TO goalpost_analytics;
