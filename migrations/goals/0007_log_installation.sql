-- What operators do that is no tenant's is logged too: in a chain like the others, of the empty tenant id. No tenant has that id
-- (platform.tenants refuses it), and to a login that works in one tenant an empty `app.tenant_id` opens no row: so only the
-- system login adds to it. Expand: the version before writes for tenants that there are, and goes on to.
ALTER TABLE goals.audit DROP CONSTRAINT audit_tenant_id_fkey;
ALTER TABLE goals.audit_heads DROP CONSTRAINT audit_heads_tenant_id_fkey;
COMMENT ON COLUMN goals.audit.tenant_id IS 'Whose log it is; empty for that of the installation.';
