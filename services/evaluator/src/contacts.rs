//! Contacts as a caller names them, and as they are stored: one whose id tells the person has a pseudonym, the same that ingest gives it,
//! so both sides meet. The tenant's salt is read only where an id needs it; of a single contact by `pg::credentials::stored_contact`.

use crate::enroll::Request;
use domain::ids::TenantId;
use domain::privacy::tells_a_person;
use pg::credentials::id_salt;
use pg::{Error, Tx};
use std::borrow::Cow;

/// The contacts under which rows are, of all that are to be enrolled.
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
