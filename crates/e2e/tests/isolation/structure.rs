//! What the catalogue itself must say: protection on every table, tenants first in every key, nothing that goes round it.

use tokio_postgres::Client;

/// Each rule, and the query whose rows break it.
const RULES: &[(&str, &str)] = &[
    (
        "every table with a tenant is ENABLEd and FORCEd",
        "SELECT c.oid::regclass::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
         JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'tenant_id' AND NOT a.attisdropped \
         WHERE c.relkind IN ('r', 'p') AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND NOT (c.relrowsecurity AND c.relforcerowsecurity)",
    ),
    (
        "every table but those of the installation itself has a tenant",
        "SELECT c.oid::regclass::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
         WHERE c.relkind IN ('r', 'p') AND n.nspname IN ('platform', 'ingest', 'goals', 'evaluator', 'analytics', 'reporting') \
         AND c.relname NOT LIKE 'migrations\\_%' \
         AND NOT EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'tenant_id' AND NOT a.attisdropped)",
    ),
    (
        "a permissive policy for roles that work in one tenant is narrowed by a restrictive one, for reading and for writing",
        "SELECT p.polrelid::regclass::text || ' ' || r.rolname FROM pg_policy p, unnest(p.polroles) AS role (oid) JOIN pg_roles r ON r.oid = role.oid \
         WHERE p.polpermissive AND r.rolname ~ '^goalpost_(ingest|goals|evaluator|analytics|owner)$' \
         AND NOT EXISTS (SELECT FROM pg_policy q WHERE q.polrelid = p.polrelid AND NOT q.polpermissive AND r.oid = ANY (q.polroles) AND q.polcmd = '*' \
             AND pg_get_expr(q.polqual, q.polrelid) = pg_get_expr(q.polwithcheck, q.polrelid) \
             AND pg_get_expr(q.polqual, q.polrelid) LIKE '(tenant_id = ( SELECT NULLIF(current_setting(''app.tenant_id''::text, true), ''''::text)%')",
    ),
    (
        "the map of analysts shows a login its own rows",
        "SELECT 'reporting.readers' WHERE NOT EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = 'reporting.readers'::regclass \
         AND pg_get_expr(p.polqual, p.polrelid) = '(role_name = CURRENT_USER)')",
    ),
    ("no policy is for everybody", "SELECT p.polrelid::regclass::text FROM pg_policy p WHERE 0 = ANY (p.polroles)"),
    (
        "a partition has the policies of its parent, and no grants to anyone but its owner",
        "SELECT c.oid::regclass::text FROM pg_class c JOIN pg_inherits i ON i.inhrelid = c.oid WHERE c.relkind = 'r' AND ( \
         (SELECT array_agg((p.polname, p.polroles, pg_get_expr(p.polqual, c.oid), pg_get_expr(p.polwithcheck, c.oid))::text ORDER BY p.polname) \
             FROM pg_policy p WHERE p.polrelid = c.oid) \
             IS DISTINCT FROM (SELECT array_agg((p.polname, p.polroles, pg_get_expr(p.polqual, i.inhparent), pg_get_expr(p.polwithcheck, i.inhparent))::text \
             ORDER BY p.polname) FROM pg_policy p WHERE p.polrelid = i.inhparent) \
         OR EXISTS (SELECT FROM aclexplode(c.relacl) acl WHERE acl.grantee <> c.relowner))",
    ),
    (
        "tenant_id comes first in every primary and unique key",
        "SELECT i.indexrelid::regclass::text FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid JOIN pg_namespace n ON n.oid = c.relnamespace \
         JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'tenant_id' AND NOT a.attisdropped \
         WHERE i.indisunique AND n.nspname IN ('platform', 'ingest', 'goals', 'evaluator', 'analytics', 'reporting') AND i.indkey[0] <> a.attnum \
         AND c.relname NOT IN ('outbox', 'dead_letters', 'write_tokens', 'api_keys')",
    ),
    (
        "tenant_id is part of every foreign key, on both sides",
        "SELECT f.conrelid::regclass::text || '.' || f.conname FROM pg_constraint f \
         JOIN pg_attribute a ON a.attrelid = f.conrelid AND a.attname = 'tenant_id' \
         JOIN pg_attribute b ON b.attrelid = f.confrelid AND b.attname = 'tenant_id' \
         WHERE f.contype = 'f' AND array_position(f.conkey, a.attnum) IS DISTINCT FROM array_position(f.confkey, b.attnum)",
    ),
    (
        "no view is a security barrier or runs as its invoker, and none is materialised",
        "SELECT c.oid::regclass::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
         WHERE n.nspname IN ('platform', 'ingest', 'goals', 'evaluator', 'analytics', 'reporting') \
         AND (c.relkind = 'm' OR (c.relkind = 'v' AND c.reloptions IS NOT NULL))",
    ),
    (
        "no function runs as its owner",
        "SELECT p.oid::regprocedure::text FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace \
         WHERE p.prosecdef AND n.nspname NOT IN ('pg_catalog', 'information_schema')",
    ),
    (
        "only the backup role bypasses row level security, and no role is a superuser or may make roles or databases",
        "SELECT r.rolname::text FROM pg_roles r WHERE r.rolname LIKE 'goalpost\\_%' \
         AND (r.rolsuper OR r.rolcreaterole OR r.rolcreatedb OR r.rolreplication OR (r.rolbypassrls AND r.rolname <> 'goalpost_backup'))",
    ),
    (
        "no login but the migrator, the maintainer and the backup is a member of anything, and none inherits the rows of another",
        "SELECT m.rolname::text FROM pg_auth_members am JOIN pg_roles m ON m.oid = am.member JOIN pg_roles g ON g.oid = am.roleid \
         WHERE m.rolname LIKE 'goalpost\\_%' AND (m.rolname, g.rolname) NOT IN (('goalpost_migrator', 'goalpost_owner'), \
         ('goalpost_owner', 'goalpost_system_views'), ('goalpost_owner', 'goalpost_partitions'), ('goalpost_owner', 'goalpost_reporting'), \
         ('goalpost_maintainer', 'goalpost_partitions'), ('goalpost_backup', 'pg_read_all_data'))",
    ),
];

/// The broken rules, with what breaks them.
pub async fn broken(client: &Client) -> Vec<String> {
    let mut broken = Vec::new();
    for (rule, query) in RULES {
        for row in client.query(*query, &[]).await.unwrap() {
            broken.push(format!("{rule}: {}", row.get::<_, String>(0)));
        }
    }
    broken
}

#[tokio::test]
async fn the_catalogue_keeps_the_rules() {
    let (_database, client) = crate::arranged().await;
    assert_eq!(broken(&client).await, Vec::<String>::new());
}
