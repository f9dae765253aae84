-- The categories of the event types that tenants add: an event that names none is of the category of its type, and is kept as long.
GRANT SELECT ON goals.event_types TO goalpost_system_views;
CREATE POLICY system_rows ON goals.event_types AS PERMISSIVE FOR SELECT TO goalpost_system_views USING (true);
CREATE VIEW goals.v_event_categories_v1 AS
SELECT t.tenant_id, t.name, t.category FROM goals.event_types t WHERE t.category IS NOT NULL AND t.deleted_at IS NULL;
GRANT SELECT ON goals.v_event_categories_v1 TO goalpost_maintainer;
ALTER VIEW goals.v_event_categories_v1 OWNER TO goalpost_system_views;
