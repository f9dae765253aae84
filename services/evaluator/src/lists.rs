//! What the API reads: lists and single enrollments, each in one transaction. An unknown workflow or enrollment is not an
//! empty list.

use crate::error::Error;
use crate::store::achievements::{self, Achievement};
use crate::store::actions::{self, Action};
use crate::store::enrollments::{self, Enrollment};
use crate::store::workflows;
use domain::ids::{EnrollmentId, TenantId};
use pg::credentials::stored_contact;
use pg::{Db, Scope};
use std::sync::Arc;
use time::OffsetDateTime;
use uuid::Uuid;

/// A page of a workflow's enrollments.
pub async fn enrollments(db: &Db, tenant: TenantId, listing: enrollments::Listing) -> Result<Vec<Enrollment>, Error> {
    let (scope, listing) = (Scope::Tenant(tenant.clone()), Arc::new(listing));
    db.run_tx("list_enrollments", scope, move |tx| {
        let (tenant, listing) = (tenant.clone(), Arc::clone(&listing));
        Box::pin(async move {
            workflows::find(tx, &tenant, listing.workflow_id).await?.ok_or(Error::WorkflowNotFound)?;
            let contact_id = stored_contact(tx, &tenant, listing.contact_id.as_ref()).await?;
            Ok(enrollments::list(tx, &tenant, &enrollments::Listing { contact_id, ..(*listing).clone() }).await?)
        })
    })
    .await
}

/// An enrollment and what it reached.
pub async fn enrollment(db: &Db, tenant: TenantId, id: EnrollmentId) -> Result<(Enrollment, Vec<Achievement>), Error> {
    let scope = Scope::Tenant(tenant.clone());
    db.run_snapshot("get_enrollment", scope, move |tx| {
        let tenant = tenant.clone();
        Box::pin(async move {
            let enrollment = enrollments::find(tx, &tenant, id).await?.ok_or(Error::EnrollmentNotFound)?;
            Ok((enrollment, achievements::of_enrollment(tx, &tenant, id).await?))
        })
    })
    .await
}

/// A page of a workflow's achievements.
pub async fn achievements(
    db: &Db,
    tenant: TenantId,
    listing: achievements::Listing,
) -> Result<Vec<Achievement>, Error> {
    let (scope, listing) = (Scope::Tenant(tenant.clone()), Arc::new(listing));
    db.run_tx("list_achievements", scope, move |tx| {
        let (tenant, listing) = (tenant.clone(), Arc::clone(&listing));
        Box::pin(async move {
            workflows::find(tx, &tenant, listing.workflow_id).await?.ok_or(Error::WorkflowNotFound)?;
            let contact_id = stored_contact(tx, &tenant, listing.contact_id.as_ref()).await?;
            Ok(achievements::list(tx, &tenant, &achievements::Listing { contact_id, ..(*listing).clone() }).await?)
        })
    })
    .await
}

/// A page of an enrollment's actions.
pub async fn actions(
    db: &Db,
    tenant: TenantId,
    enrollment: EnrollmentId,
    before: Option<(OffsetDateTime, Uuid)>,
    limit: i64,
) -> Result<Vec<Action>, Error> {
    let scope = Scope::Tenant(tenant.clone());
    db.run_tx("list_actions", scope, move |tx| {
        let tenant = tenant.clone();
        Box::pin(async move {
            enrollments::find(tx, &tenant, enrollment).await?.ok_or(Error::EnrollmentNotFound)?;
            Ok(actions::list(tx, &tenant, enrollment, before, limit).await?)
        })
    })
    .await
}
