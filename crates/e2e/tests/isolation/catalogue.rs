//! What there is, read from the catalogue: relations with a tenant, the roles, and who was granted what.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;
use tokio_postgres::Client;

/// How a role is held to its tenant.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// By `app.tenant_id`: a service's tenant login, and the owner whose views they read.
    Tenant,
    /// Not at all, within what it was granted: system logins and the owners of their views and of partitions.
    System,
    /// By its name: an analyst of tenant `a`.
    Reader,
}

/// The analyst of tenant `a`. Roles are those of the whole server: of two tests that make the same one, the second waits for the end of the first.
pub static READER: LazyLock<String> = LazyLock::new(|| format!("reader_of_a_{}", std::process::id()));

pub static ROLES: LazyLock<[(&str, Kind); 14]> = LazyLock::new(|| {
    [
        ("goalpost_ingest", Kind::Tenant),
        ("goalpost_goals", Kind::Tenant),
        ("goalpost_evaluator", Kind::Tenant),
        ("goalpost_analytics", Kind::Tenant),
        ("goalpost_owner", Kind::Tenant),
        ("goalpost_migrator", Kind::Tenant),
        ("goalpost_ingest_system", Kind::System),
        ("goalpost_goals_system", Kind::System),
        ("goalpost_evaluator_system", Kind::System),
        ("goalpost_analytics_system", Kind::System),
        ("goalpost_system_views", Kind::System),
        ("goalpost_partitions", Kind::System),
        ("goalpost_maintainer", Kind::System),
        (READER.as_str(), Kind::Reader),
    ]
});

/// Tables that are open to no tenant login, so their owner sees no row of them either.
pub const SYSTEM_ONLY: [&str; 5] = [
    "platform.write_tokens",
    "platform.api_keys",
    "ingest.dead_letters",
    "goals.dead_letters",
    "evaluator.dead_letters",
];

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Relation {
    pub name: String,
    pub is_view: bool,
}

const RELATIONS: &str = "SELECT n.nspname || '.' || c.relname, c.relkind = 'v' FROM pg_class c \
     JOIN pg_namespace n ON n.oid = c.relnamespace \
     JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'tenant_id' AND NOT a.attisdropped \
     WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname NOT IN ('pg_catalog', 'information_schema') ORDER BY 1";

/// Every relation that has a `tenant_id`.
pub async fn relations(client: &Client) -> Vec<Relation> {
    let rows = client.query(RELATIONS, &[]).await.unwrap();
    rows.iter().map(|row| Relation { name: row.get(0), is_view: row.get(1) }).collect()
}

/// What each role may do with each relation, schema rights included.
#[derive(Default)]
pub struct Grants(BTreeMap<(String, String), BTreeSet<String>>);

const GRANTS: &str = "SELECT r.name, n.nspname || '.' || c.relname, p.name \
     FROM unnest($1::text[]) AS r (name), unnest('{SELECT,INSERT,UPDATE,DELETE,TRUNCATE}'::text[]) AS p (name), pg_class c \
     JOIN pg_namespace n ON n.oid = c.relnamespace \
     WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast') \
     AND has_schema_privilege(r.name, n.oid, 'USAGE') AND has_table_privilege(r.name, c.oid, p.name)";

/// What is granted on some columns only, as `INSERT(payload,tenant_id)`.
const COLUMN_GRANTS: &str = "SELECT r.name, n.nspname || '.' || c.relname, p.name || '(' || string_agg(a.attname, ',' ORDER BY a.attname) || ')' \
     FROM unnest($1::text[]) AS r (name), unnest('{SELECT,INSERT,UPDATE}'::text[]) AS p (name), pg_class c \
     JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped \
     WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast') \
     AND has_schema_privilege(r.name, n.oid, 'USAGE') AND NOT has_table_privilege(r.name, c.oid, p.name) \
     AND has_column_privilege(r.name, c.oid, a.attnum, p.name) GROUP BY r.name, n.nspname, c.relname, p.name";

impl Grants {
    pub async fn read(client: &Client) -> Self {
        let roles: Vec<&str> = ROLES.iter().map(|(name, _)| *name).collect();
        let mut grants = Self::default();
        for query in [GRANTS, COLUMN_GRANTS] {
            for row in client.query(query, &[&roles]).await.unwrap() {
                grants.0.entry((row.get(0), row.get(1))).or_default().insert(row.get(2));
            }
        }
        grants
    }

    pub fn has(&self, role: &str, relation: &str, privilege: &str) -> bool {
        let key = (role.to_owned(), relation.to_owned());
        self.0.get(&key).is_some_and(|privileges| privileges.contains(privilege))
    }

    /// One line per role and relation, for the golden file. Owners are left out: they may do everything to what they own; and of the
    /// maintainer what it may as a member of one.
    pub fn lines(&self) -> String {
        let owners = ["goalpost_owner", "goalpost_partitions"];
        let inherited = |role: &str, relation: &str| {
            role == "goalpost_maintainer" && self.has("goalpost_partitions", relation, "TRUNCATE")
        };
        let granted = self
            .0
            .iter()
            .filter(|((role, relation), _)| !owners.contains(&role.as_str()) && !inherited(role, relation));
        granted
            .map(|((role, relation), privileges)| {
                let privileges: Vec<&str> = privileges.iter().map(String::as_str).collect();
                let role = if *role == *READER { "reader_of_a" } else { role };
                format!("{role} {relation} {}\n", privileges.join(","))
            })
            .collect()
    }
}
