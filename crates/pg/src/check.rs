//! The check a service makes of itself before it serves: its roles, the catalogue, the server. A service that fails it
//! refuses to start, with one sentence on what is wrong.

use crate::migrate::{MIGRATIONS, history_table};
use crate::{Db, Error};
use deadpool_postgres::{Object, Pool};

/// Roles that could get round row level security.
const ROLE: &str = "SELECT r.rolname, r.rolsuper OR r.rolbypassrls OR r.rolcreaterole OR r.rolcreatedb, \
     EXISTS (SELECT FROM pg_class c WHERE c.relowner = r.oid) FROM pg_roles r WHERE r.rolname = current_user";

/// Tables with a tenant that are not protected, by name.
const UNPROTECTED: &str = "SELECT n.nspname || '.' || c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
     JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'tenant_id' AND NOT a.attisdropped \
     WHERE c.relkind IN ('r', 'p') AND n.nspname IN ('platform', 'ingest', 'goals', 'evaluator', 'analytics', 'reporting') \
     AND NOT (c.relrowsecurity AND c.relforcerowsecurity AND EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = c.oid)) \
     ORDER BY 1 LIMIT 1";

/// Settings without which a commit is no promise, that are off; and a server that is a replica.
const SERVER: &str = "SELECT name FROM pg_settings WHERE name IN ('fsync', 'full_page_writes', 'synchronous_commit') AND setting = 'off' \
     UNION ALL SELECT 'in recovery' WHERE pg_is_in_recovery() LIMIT 1";

impl Db {
    /// `Ok(Err(sentence))`: the database answers and is not as it must be. `Err`: it does not answer (try again).
    #[expect(clippy::disallowed_methods, reason = "connections are used on the main runtime only")]
    pub async fn self_check(&self) -> Result<Result<(), String>, Error> {
        let db = self.clone();
        let checked = self.0.handle.spawn(async move {
            for pool in [&db.0.tenant, &db.0.system] {
                let client = connection(pool).await?;
                if let Err(sentence) = check(&client).await? {
                    return Ok(Err(sentence));
                }
            }
            Ok(Ok(()))
        });
        checked.await.unwrap_or(Err(Error::Panicked("self_check")))
    }
}

async fn connection(pool: &Pool) -> Result<Object, Error> {
    pool.get().await.map_err(|error| Error::Pool(error.to_string()))
}

async fn check(client: &Object) -> Result<Result<(), String>, Error> {
    let role = client.query_one(ROLE, &[]).await?;
    let name: String = role.try_get(0)?;
    if role.try_get(1)? {
        return Ok(Err(format!("the database role {name} is a superuser or may bypass row level security")));
    }
    if role.try_get(2)? {
        return Ok(Err(format!("the database role {name} owns tables, and so is not held by their policies")));
    }
    for (schema, files) in MIGRATIONS {
        if let Some(sentence) = schema_behind(client, schema, files.len()).await? {
            return Ok(Err(sentence));
        }
    }
    if let Some(row) = client.query_opt(UNPROTECTED, &[]).await? {
        return Ok(Err(format!("the table {} is not protected by row level security", row.try_get::<_, String>(0)?)));
    }
    if let Some(row) = client.query_opt(SERVER, &[]).await? {
        return Ok(Err(format!("the database server does not keep commits: {}", row.try_get::<_, String>(0)?)));
    }
    Ok(Ok(()))
}

async fn schema_behind(client: &Object, schema: &str, expected: usize) -> Result<Option<String>, Error> {
    let table = history_table(schema);
    let known = client.query_one("SELECT to_regclass($1::text) IS NOT NULL", &[&table]).await?.try_get(0)?;
    let applied: i64 =
        if known { client.query_one(&format!("SELECT count(*) FROM {table}"), &[]).await?.try_get(0)? } else { 0 };
    let behind = usize::try_from(applied).unwrap_or(0) < expected;
    Ok(behind.then(|| {
        format!("the database schema {schema} is at migration {applied} of {expected}: run `goalpost migrate`")
    }))
}
