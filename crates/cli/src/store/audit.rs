//! `goals.audit` and the heads of its chains, of every tenant, as they are stored.

use domain::audit::{Entry, Head};
use domain::ids::TenantId;
use futures_util::{Stream, TryStreamExt};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Error, Row};

/// What comes one after another: the entries of a tenant in the order of the chain, then its head.
pub enum Link {
    Entry(Box<Entry>),
    Head { tenant_id: String, head: Head },
}

/// One statement, so one snapshot. A time that is none (`infinity`) is read as one that no hash can cover.
const READ: &str = "SELECT a.tenant_id, a.seq AS place, a.seq, a.hash, a.id, \
     CASE WHEN isfinite(a.at) THEN (extract(epoch FROM a.at) * 1000000)::bigint ELSE -9223372036854775808 END, a.actor, a.action, \
     a.object_type, a.object_id, a.before::text, a.after::text, a.prev_hash \
     FROM goals.audit a WHERE $1::text IS NULL OR a.tenant_id = $1 \
     UNION ALL SELECT h.tenant_id, NULL, h.seq, h.hash, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL \
     FROM goals.audit_heads h WHERE $1::text IS NULL OR h.tenant_id = $1 ORDER BY 1, 2 NULLS LAST, 5";

const SEES_SOME_ONLY: &str = "SELECT row_security_active('goals.audit') OR row_security_active('goals.audit_heads')";

/// Whether this login is held to some tenants' rows, or to none: what it does not see cannot be found missing.
pub async fn sees_some_only(client: &Client) -> Result<bool, Error> {
    Ok(client.query_one(SEES_SOME_ONLY, &[]).await?.get(0))
}

/// The chains of one tenant, or of all.
pub async fn read(
    client: &Client,
    tenant: Option<&TenantId>,
) -> Result<impl Stream<Item = Result<Link, Error>>, Error> {
    let tenant = tenant.map(TenantId::as_str);
    let binds: [&(dyn ToSql + Sync); 1] = [&tenant];
    let rows = client.query_raw(READ, binds).await?;
    Ok(rows.and_then(|row| std::future::ready(link(&row))))
}

fn link(row: &Row) -> Result<Link, Error> {
    let tenant_id = row.try_get(0)?;
    let (seq, hash) = (row.try_get(2)?, row.try_get(3)?);
    let place: Option<i64> = row.try_get(1)?;
    if place.is_none() {
        return Ok(Link::Head { tenant_id, head: Head { seq, hash } });
    }
    Ok(Link::Entry(Box::new(Entry {
        tenant_id,
        seq,
        id: row.try_get(4)?,
        at_us: row.try_get(5)?,
        actor: row.try_get(6)?,
        action: row.try_get(7)?,
        object_type: row.try_get(8)?,
        object_id: row.try_get(9)?,
        before: row.try_get(10)?,
        after: row.try_get(11)?,
        prev_hash: row.try_get(12)?,
        hash,
    })))
}
