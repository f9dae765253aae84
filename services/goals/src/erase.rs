//! Forgetting somebody. There is nobody in the configuration: what goals does is to keep that it happened, in the audit log.

use domain::contract::{EraseSubject, SubjectErased};
use domain::once::{Answered, Asked};
use pg::Db;
use pg::erasure::Counts;

use crate::error::Error;
use crate::store::audit::{self, NewEntry};

/// Forgets whom the command names; once, and one report of it.
pub async fn erase(
    db: &Db,
    asked: Asked,
    command: EraseSubject,
    traceparent: Option<String>,
    actor: String,
) -> Result<Answered<SubjectErased>, Error> {
    db.erase(asked, command, traceparent, move |tx, command| {
        let actor = actor.clone();
        Box::pin(async move {
            // By its number: who it was is what is forgotten, and who asked for it ingest keeps.
            let entry = NewEntry {
                action: "subject.erased",
                object_type: "subject",
                object_id: command.request_id.to_string(),
                before: None,
                after: None,
            };
            audit::insert(tx, &command.tenant_id, &actor, &[entry]).await?;
            Ok(Counts::new())
        })
    })
    .await
}
