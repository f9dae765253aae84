//! All that is kept of a person, of every service, for who is asked what that is.

use domain::ids::{ContactId, TenantId};
use pg::{Db, Scope};
use time::OffsetDateTime;

use crate::error::Error;
use crate::store::identity_links;
use crate::store::people::{self, Record};

/// A page of what is kept of whoever has this id, as a user or as a contact, and of the users who were ever linked to the contact:
/// of exactly those whom an erasure would forget.
pub async fn page(
    db: &Db,
    tenant: TenantId,
    person: Vec<ContactId>,
    behind: Option<(OffsetDateTime, String)>,
    limit: i64,
) -> Result<Vec<Record>, Error> {
    db.run_snapshot("export_person", Scope::Tenant(tenant.clone()), move |tx| {
        let (tenant, person, behind) = (tenant.clone(), person.clone(), behind.clone());
        Box::pin(async move {
            let users = identity_links::users_of_person(tx, &tenant, &person).await?;
            let contacts: Vec<&str> = person.iter().map(ContactId::as_str).collect();
            Ok(people::records(tx, &tenant, (&users, &contacts), behind, limit).await?)
        })
    })
    .await
}
