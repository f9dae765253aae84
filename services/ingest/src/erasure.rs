//! Forgetting a person: asking all services for it over the bus, this service's own part, and the receipt made of their reports.

use std::time::Duration;

use domain::contract::{Command, EraseSubject, SubjectErased, V1};
use domain::ids::{ContactId, TenantId};
use domain::json::{Json, Limits};
use domain::once::{Answer, Answered, Asked, Key};
use pg::erasure::Counts;
use pg::{Db, Scope, Tx};
use tokio::time::Instant;
use uuid::Uuid;

use crate::asked::Ids;
use crate::author::Author;
use crate::error::Error;
use crate::store::erasures::{self, New, Receipt};
use crate::store::{identity_links, people};

const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Asks for the erasure of whoever has this id, as a user or as a contact; with a contact go the users who were ever linked to it.
/// Under the same key it is asked for once. The number of the request.
pub async fn ask(
    db: &Db,
    author: Author,
    (ids, person): (Ids, Vec<ContactId>),
    key: Option<Key>,
) -> Result<Answered<Uuid>, Error> {
    let (tenant, db_of_outbox) = (author.tenant.clone(), db.clone());
    let once = Asked::over_http(Some(&tenant), key).answering(|request: &Uuid| Answer::json(202, request));
    let asked = db.run_once("ask_erasure", Scope::Tenant(tenant), once, move |tx| {
        let (db, author, ids, person) = (db_of_outbox.clone(), author.clone(), ids.clone(), person.clone());
        Box::pin(async move { ask_in(&db, tx, &author, (&ids, &person)).await })
    });
    asked.await
}

async fn ask_in(db: &Db, tx: &Tx, author: &Author, (ids, person): (&Ids, &[ContactId])) -> Result<Uuid, Error> {
    let tenant = &author.tenant;
    let user_ids = identity_links::users_of_person(tx, tenant, person).await?;
    let request_id = Uuid::now_v7();
    let stored = person.first().map_or("", ContactId::as_str);
    let subject_hash = ids.hash(&[b"erasure", stored.as_bytes()]);
    let new = New { request_id, subject_hash: &subject_hash, requested_by: &author.actor };
    erasures::insert(tx, tenant, &new).await?;
    let command =
        EraseSubject { version: V1, tenant_id: tenant.clone(), request_id, user_ids, contact_ids: person.to_vec() };
    let message = command.into_message(request_id).in_trace(author.traceparent.clone());
    db.add_to_outbox(tx, vec![message]).await?;
    Ok(request_id)
}

/// The request that was made now or before.
pub fn request_of(asked: &Answered<Uuid>) -> Result<Uuid, Error> {
    let answer = match asked {
        Answered::Now(request) => return Ok(*request),
        Answered::Before(answer) => answer,
    };
    let request = Json::parse(&answer.body, &Limits::WIRE).ok();
    let request = request.and_then(|request| request.as_str()?.parse().ok());
    Ok(request.ok_or_else(|| pg::Error::Decode("the answer to an erasure names no request".to_owned()))?)
}

/// The receipt of an erasure: once all services have reported, or as it is when that takes longer than `wait`.
pub async fn settled(db: &Db, tenant: &TenantId, request: Uuid, wait: Duration) -> Result<Receipt, Error> {
    let deadline = Instant::now() + wait;
    loop {
        let receipt = receipt(db, tenant, request).await?;
        if receipt.done_at.is_some() || Instant::now() >= deadline {
            return Ok(receipt);
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// The receipt of an erasure as it is.
pub async fn receipt(db: &Db, tenant: &TenantId, request: Uuid) -> Result<Receipt, Error> {
    let tenant = tenant.clone();
    db.run_tx("erasure_receipt", Scope::Tenant(tenant.clone()), move |tx| {
        let tenant = tenant.clone();
        Box::pin(async move { erasures::receipt(tx, &tenant, request).await?.ok_or(Error::NotFound) })
    })
    .await
}

/// This service's part, once: events and links go. The ledger keeps the ids of the events, so that none comes back by a retry.
pub async fn erase(
    db: &Db,
    asked: Asked,
    command: EraseSubject,
    traceparent: Option<String>,
) -> Result<Answered<SubjectErased>, Error> {
    db.erase(asked, command, traceparent, |tx, command| {
        Box::pin(async move {
            let EraseSubject { tenant_id, user_ids, contact_ids, .. } = &*command;
            let contacts: Vec<&str> = contact_ids.iter().map(ContactId::as_str).collect();
            let events = people::delete_events(tx, tenant_id, user_ids, &contacts).await?;
            let links = identity_links::delete(tx, tenant_id, user_ids, &contacts).await?;
            Ok(Counts::from([("ingest.events_raw".to_owned(), events), ("ingest.identity_links".to_owned(), links)]))
        })
    })
    .await
}

/// Keeps the report of a service. Of an erasure that was not asked for here nothing is kept.
pub async fn report(db: &Db, report: SubjectErased) -> Result<(), Error> {
    db.run_tx("report_erasure", Scope::Tenant(report.tenant_id.clone()), move |tx| {
        let report = report.clone();
        Box::pin(async move {
            let (tenant, request) = (&report.tenant_id, report.request_id);
            // Two reports at once would each miss the other.
            if erasures::lock(tx, tenant, request).await? {
                erasures::report(tx, &report).await?;
                erasures::finish(tx, tenant, request, &SubjectErased::SERVICES).await?;
            }
            Ok(())
        })
    })
    .await
}
