-- In whose days analytics counts.
CREATE VIEW platform.v_time_zones_v1 AS SELECT t.tenant_id, t.time_zone FROM platform.tenants t;
GRANT SELECT ON platform.v_time_zones_v1 TO goalpost_analytics;
