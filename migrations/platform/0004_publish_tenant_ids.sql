-- Whether there is a tenant: services that take tokens of an identity provider ask it of the tenant that a token names.
CREATE VIEW platform.v_tenant_ids_v1 AS SELECT t.tenant_id FROM platform.tenants t;
GRANT SELECT ON platform.v_tenant_ids_v1 TO goalpost_goals_system, goalpost_evaluator_system, goalpost_analytics_system;
ALTER VIEW platform.v_tenant_ids_v1 OWNER TO goalpost_system_views;
