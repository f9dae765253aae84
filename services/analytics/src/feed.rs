//! What happened lately.

use crate::error::Error;
use crate::store::feed::{Listing, Seen, list};
use domain::ids::TenantId;
use pg::credentials::stored_contact;
use pg::{Db, Scope};
use std::sync::Arc;

/// A page of a tenant's events. A contact whose id tells the person is looked for under its pseudonym, as ingest stores it.
pub async fn page(db: &Db, tenant: TenantId, listing: Listing) -> Result<Vec<Seen>, Error> {
    let (scope, listing) = (Scope::Tenant(tenant.clone()), Arc::new(listing));
    db.run_tx("list_feed", scope, move |tx| {
        let (tenant, listing) = (tenant.clone(), Arc::clone(&listing));
        Box::pin(async move {
            let contact_id = stored_contact(tx, &tenant, listing.contact_id.as_ref()).await?;
            list(tx, &tenant, &Listing { contact_id, ..(*listing).clone() }).await
        })
    })
    .await
}
