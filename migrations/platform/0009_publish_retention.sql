-- For how many days each tenant keeps its events, a row per category: what `goalpost maintain` goes by.
CREATE VIEW platform.v_events_retention_v1 AS
SELECT t.tenant_id, kept.key AS category, kept.value::integer AS days
FROM platform.tenants t, jsonb_each_text(t.retention -> 'events_days') AS kept;
COMMENT ON VIEW platform.v_events_retention_v1 IS 'days is null for what is kept for ever; the category default is for all that are not named.';
GRANT SELECT ON platform.v_events_retention_v1 TO goalpost_maintainer;
ALTER VIEW platform.v_events_retention_v1 OWNER TO goalpost_system_views;
