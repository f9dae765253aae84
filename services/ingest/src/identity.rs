//! Which anonymous user is which contact. A link holds for what is stored from its answer on; what was stored before stays as it is.

use domain::contract::{Fact, IdentityLinked, LinkChange};
use domain::ids::ContactId;
use domain::outbox::NewMessage;
use pg::{Db, Scope, Tx};

use crate::author::Author;
use crate::error::Error;
use crate::store::identity_links::{self, Link};

/// A link that is taken back just when it is asked for again is there or not by the next look.
const MOST_LOOKS: usize = 5;

/// Links a user to a contact. Whoever is linked so already stays so.
pub async fn link(db: &Db, author: Author, user_id: String, contact_id: ContactId) -> Result<Link, Error> {
    let (scope, db_of_outbox) = (Scope::Tenant(author.tenant.clone()), db.clone());
    db.run_tx("link_identity", scope, move |tx| {
        let (db, author) = (db_of_outbox.clone(), author.clone());
        let (user_id, contact_id) = (user_id.clone(), contact_id.clone());
        Box::pin(async move { link_in(&db, tx, &author, (&user_id, &contact_id)).await })
    })
    .await
}

async fn link_in(db: &Db, tx: &Tx, author: &Author, (user_id, contact_id): (&str, &ContactId)) -> Result<Link, Error> {
    let tenant = &author.tenant;
    for _ in 0..MOST_LOOKS {
        // Waits for whoever links or unlinks this user; what is true then is for the next statement to read.
        if let Some(made) = identity_links::insert(tx, tenant, (user_id, contact_id), &author.actor).await? {
            db.add_to_outbox(tx, vec![fact(author, &made)]).await?;
            return Ok(made);
        }
        match identity_links::find(tx, tenant, user_id).await? {
            Some(link) if link.contact_id == *contact_id => return Ok(link),
            Some(_) => return Err(Error::AlreadyIdentified),
            None => {}
        }
    }
    Err(Error::Overtaken)
}

/// Takes the link of a user back.
pub async fn unlink(db: &Db, author: Author, user_id: String) -> Result<Link, Error> {
    let (scope, db_of_outbox) = (Scope::Tenant(author.tenant.clone()), db.clone());
    db.run_tx("unlink_identity", scope, move |tx| {
        let (db, author, user_id) = (db_of_outbox.clone(), author.clone(), user_id.clone());
        Box::pin(async move {
            let gone = identity_links::end(tx, &author.tenant, &user_id, &author.actor).await?;
            let gone = gone.ok_or(Error::NotFound)?;
            db.add_to_outbox(tx, vec![fact(&author, &gone)]).await?;
            Ok(gone)
        })
    })
    .await
}

fn fact(author: &Author, link: &Link) -> NewMessage {
    let change = if link.unlinked_at.is_some() { LinkChange::Unlinked } else { LinkChange::Linked };
    let fact = IdentityLinked {
        tenant_id: author.tenant.clone(),
        user_id: link.user_id.clone(),
        contact_id: link.contact_id.clone(),
        change,
        changed_at: link.unlinked_at.unwrap_or(link.linked_at),
    };
    fact.into_message(author.traceparent.clone())
}
