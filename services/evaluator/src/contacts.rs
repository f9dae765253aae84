//! A contact as a caller names it, and as it is stored: one whose id tells the person has a pseudonym, the same that ingest gives it, so
//! both sides meet. The tenant's salt is read only where an id needs it.

use crate::enroll::Request;
use domain::ids::{ContactId, TenantId};
use domain::privacy::tells_a_person;
use pg::credentials::id_salt;
use pg::{Error, Tx};
use std::borrow::Cow;

/// The contact under which rows are.
pub async fn stored<'c>(tx: &Tx, tenant: &TenantId, contact: &'c ContactId) -> Result<Cow<'c, ContactId>, Error> {
    if !tells_a_person(contact.as_str()) {
        return Ok(Cow::Borrowed(contact));
    }
    Ok(Cow::Owned(id_salt(tx, tenant).await?.contact_id(contact).into_owned()))
}

/// The same, of those that a list may be narrowed to.
pub async fn narrowed(tx: &Tx, tenant: &TenantId, contact: Option<&ContactId>) -> Result<Option<ContactId>, Error> {
    match contact {
        Some(contact) => Ok(Some(stored(tx, tenant, contact).await?.into_owned())),
        None => Ok(None),
    }
}

/// The same, of all that are to be enrolled.
pub async fn enrolled<'r>(tx: &Tx, tenant: &TenantId, requests: &'r [Request]) -> Result<Cow<'r, [Request]>, Error> {
    if !requests.iter().any(|request| tells_a_person(request.contact_id.as_str())) {
        return Ok(Cow::Borrowed(requests));
    }
    let salt = id_salt(tx, tenant).await?;
    let stored = requests.iter().map(|request| {
        let contact_id = salt.contact_id(&request.contact_id).into_owned();
        Request { contact_id, ..request.clone() }
    });
    Ok(Cow::Owned(stored.collect()))
}
