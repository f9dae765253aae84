//! Forgetting contacts. What is active ends as `contact_erased`, and is told as other ends are; then enrollments, achievements and
//! actions stay as they were but nobody's, so that every count is what it was.

use crate::end::cancellation;
use crate::error::Error;
use crate::store::erasing::{self, Anonymous};
use crate::store::{actions, enrollments, locks};
use domain::contract::{EraseSubject, Fact, SubjectErased};
use domain::enrollment::ExitReason;
use domain::ids::{ContactId, EnrollmentId, TenantId};
use domain::once::{Answered, Asked};
use domain::outbox::NewMessage;
use pg::erasure::Counts;
use pg::{Db, Tx};
use uuid::Uuid;

/// Forgets whom the command names; once, and one report of it.
pub async fn erase(
    db: &Db,
    asked: Asked,
    command: EraseSubject,
    traceparent: Option<String>,
) -> Result<Answered<SubjectErased>, Error> {
    let (db_of_outbox, trace) = (db.clone(), traceparent.clone());
    db.erase(asked, command, traceparent, move |tx, command| {
        let (db, trace) = (db_of_outbox.clone(), trace.clone());
        Box::pin(async move { forget(&db, tx, &command, trace).await })
    })
    .await
}

/// The fences of the workflows, the enrollments, and only then what they are: an exit that was under way has happened, or will find
/// nobody to let out.
async fn forget(db: &Db, tx: &Tx, command: &EraseSubject, trace: Option<String>) -> Result<Counts, Error> {
    let tenant = &command.tenant_id;
    let nobodies: Vec<Anonymous> = contacts(command).into_iter().map(anonymous).collect();
    let found = erasing::of_contacts(tx, tenant, &nobodies).await?;
    locks::share_workflows(tx, tenant, found.iter().map(|(_, workflow)| *workflow)).await?;
    let ids: Vec<EnrollmentId> = found.into_iter().map(|(id, _)| id).collect();
    erasing::lock(tx, tenant, &ids).await?;
    let messages = end(tx, tenant, (&ids, &nobodies), trace).await?;
    db.add_to_outbox(tx, messages).await?;
    let counts = [
        ("evaluator.enrollments", erasing::enrollments(tx, tenant, &ids, &nobodies).await?),
        ("evaluator.workflow_goal_achievements", erasing::achievements(tx, tenant, &ids, &nobodies).await?),
        ("evaluator.scheduled_actions", erasing::actions(tx, tenant, &ids).await?),
        ("evaluator.answers", erasing::answers(tx, tenant, &ids, &nobodies).await?),
    ];
    Ok(counts.into_iter().map(|(table, rows)| (table.to_owned(), rows)).collect())
}

/// The contacts are the command's, and each id only once.
fn contacts(command: &EraseSubject) -> Vec<ContactId> {
    let mut contacts = command.contact_ids.clone();
    contacts.sort_unstable();
    contacts.dedup();
    contacts
}

/// Made of nothing that was known: nobody can compute whom it stands for.
fn anonymous(contact: ContactId) -> Anonymous {
    Anonymous { contact, stands_for: format!("erased_{}", Uuid::now_v7()) }
}

/// Ends those that are active; what is to be told of it names nobody either.
async fn end(
    tx: &Tx,
    tenant: &TenantId,
    (ids, nobodies): (&[EnrollmentId], &[Anonymous]),
    trace: Option<String>,
) -> Result<Vec<NewMessage>, Error> {
    let ended = enrollments::end(tx, tenant, ids, ExitReason::ContactErased, None).await?;
    let of_ended: Vec<EnrollmentId> = ended.iter().map(|enrollment| enrollment.id).collect();
    let mut cancelled = actions::cancel(tx, tenant, &of_ended).await?;
    let mut messages = Vec::new();
    for mut enrollment in ended {
        let Some(actions) = cancelled.remove(&enrollment.id) else {
            continue;
        };
        if let Some(nobody) = nobodies.iter().find(|nobody| nobody.contact == enrollment.contact_id) {
            enrollment.contact_id = ContactId::parse(&nobody.stands_for)
                .map_err(|error| pg::Error::Decode(format!("an anonymous contact: {error}")))?;
        }
        messages.push(cancellation(tenant, &enrollment, actions).into_message(trace.clone()));
    }
    Ok(messages)
}
