//! `ingest.identity_links`: which user was which contact, and when.

use domain::ids::{ContactId, TenantId};
use pg::{Error, Row, Tx};
use time::OffsetDateTime;

/// A link as it is stored.
#[derive(Clone, Debug)]
pub struct Link {
    pub user_id: String,
    pub contact_id: ContactId,
    pub linked_at: OffsetDateTime,
    /// None: it holds.
    pub unlinked_at: Option<OffsetDateTime>,
}

macro_rules! columns {
    () => {
        "l.user_id, l.contact_id, l.linked_at, l.unlinked_at"
    };
}

fn link(row: &Row) -> Result<Link, Error> {
    Ok(Link {
        user_id: row.try_get(0)?,
        contact_id: contact(row.try_get(1)?)?,
        linked_at: row.try_get(2)?,
        unlinked_at: row.try_get(3)?,
    })
}

fn contact(text: &str) -> Result<ContactId, Error> {
    ContactId::parse(text).map_err(|error| Error::Decode(error.to_string()))
}

const INSERT: &str = concat!(
    "INSERT INTO ingest.identity_links AS l (tenant_id, user_id, contact_id, linked_at, linked_by) \
     VALUES ($1, $2, $3, clock_timestamp(), $4) \
     ON CONFLICT (tenant_id, user_id) WHERE unlinked_at IS NULL DO NOTHING RETURNING ",
    columns!()
);

/// Links a user who is linked to nobody; none where the user is.
pub async fn insert(
    tx: &Tx,
    tenant: &TenantId,
    (user, contact): (&str, &ContactId),
    by: &str,
) -> Result<Option<Link>, Error> {
    let row = tx.query_opt(INSERT, &[&tenant.as_str(), &user, &contact.as_str(), &by]).await?;
    row.as_ref().map(link).transpose()
}

const FIND: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM ingest.identity_links l WHERE l.tenant_id = $1 AND l.user_id = $2 AND l.unlinked_at IS NULL"
);

/// The link of a user that holds.
pub async fn find(tx: &Tx, tenant: &TenantId, user: &str) -> Result<Option<Link>, Error> {
    let row = tx.query_opt(FIND, &[&tenant.as_str(), &user]).await?;
    row.as_ref().map(link).transpose()
}

const END: &str = concat!(
    "UPDATE ingest.identity_links l SET unlinked_at = clock_timestamp(), unlinked_by = $3 \
     WHERE l.tenant_id = $1 AND l.user_id = $2 AND l.unlinked_at IS NULL RETURNING ",
    columns!()
);

/// Ends the link of a user; none where there is none.
pub async fn end(tx: &Tx, tenant: &TenantId, user: &str, by: &str) -> Result<Option<Link>, Error> {
    let row = tx.query_opt(END, &[&tenant.as_str(), &user, &by]).await?;
    row.as_ref().map(link).transpose()
}

const USERS_OF: &str =
    "SELECT DISTINCT l.user_id FROM ingest.identity_links l WHERE l.tenant_id = $1 AND l.contact_id = ANY($2)";

/// The users who are a person: who has one of these very ids, and those who are or were linked to one as a contact. Ascending.
pub async fn users_of_person(tx: &Tx, tenant: &TenantId, person: &[ContactId]) -> Result<Vec<String>, Error> {
    let contacts: Vec<&str> = person.iter().map(ContactId::as_str).collect();
    let rows = tx.query(USERS_OF, &[&tenant.as_str(), &contacts]).await?;
    let linked: Result<Vec<String>, Error> = rows.iter().map(|row| Ok(row.try_get(0)?)).collect();
    let mut users = linked?;
    users.extend(contacts.into_iter().map(str::to_owned));
    users.sort_unstable();
    users.dedup();
    Ok(users)
}

const DELETE: &str = "DELETE FROM ingest.identity_links l \
     WHERE l.tenant_id = $1 AND (l.user_id = ANY($2) OR l.contact_id = ANY($3))";

/// Deletes the links of these users and contacts, those that ended too; how many.
pub async fn delete(tx: &Tx, tenant: &TenantId, users: &[String], contacts: &[&str]) -> Result<u64, Error> {
    tx.execute(DELETE, &[&tenant.as_str(), &users, &contacts]).await
}

/// $1 tenants, $2 users. The contact of each, in their order; null where it is linked to none.
pub const LIVE: &str = "SELECT l.contact_id FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS n (tenant_id, user_id, place) \
     LEFT JOIN LATERAL (SELECT k.contact_id FROM ingest.identity_links k \
       WHERE k.tenant_id = n.tenant_id AND k.user_id = n.user_id AND k.unlinked_at IS NULL OFFSET 0) AS l ON true ORDER BY n.place";

/// The contacts that these users of whichever tenants are linked to, in their order.
pub async fn live(tx: &Tx, users: &[(&TenantId, &str)]) -> Result<Vec<Option<ContactId>>, Error> {
    let (tenants, users): (Vec<&str>, Vec<&str>) = users.iter().map(|(tenant, user)| (tenant.as_str(), *user)).unzip();
    let rows = tx.query(LIVE, &[&tenants, &users]).await?;
    rows.iter().map(|row| row.try_get::<_, Option<&str>>(0)?.map(contact).transpose()).collect()
}

/// Every statement of the tenant login here.
pub(super) const STATEMENTS: &[&str] = &[INSERT, FIND, END, USERS_OF, DELETE];
