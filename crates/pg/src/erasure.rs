//! One service's part in the erasure of a person: its dead letters first, then all else in one transaction with the report of it,
//! once, however often it is asked for.

use crate::credentials::id_salt;
use crate::{Db, Failure, Scope, Tx};
use domain::contract::{EraseSubject, Fact, SubjectErased};
use domain::once::{Answer, Answered, Asked};
use domain::outbox::BoxFuture;
use domain::privacy::tells_a_person;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Rows removed or made anonymous, by table.
pub type Counts = BTreeMap<String, u64>;

impl Db {
    /// Erases somebody: `work` does so with the rows of this service, and says how many there were. `subject.erased` tells of it,
    /// through the outbox of the same transaction.
    ///
    /// # Errors
    /// Those of `run_once` and of `work`.
    pub async fn erase<E, F>(
        &self,
        asked: Asked,
        command: EraseSubject,
        traceparent: Option<String>,
        work: F,
    ) -> Result<Answered<SubjectErased>, E>
    where
        E: Failure,
        F: for<'t> Fn(&'t Tx, Arc<EraseSubject>) -> BoxFuture<'t, Result<Counts, E>> + Send + Sync + 'static,
    {
        let ids = command.ids().map(str::to_owned).collect();
        let letters = self.forget_letters(&command.tenant_id, ids).await?;
        let scope = Scope::Tenant(command.tenant_id.clone());
        let shared = Arc::new((self.clone(), work));
        let command = Arc::new(command);
        let once = asked.answering(|erased: &SubjectErased| Answer::json(200, erased));
        self.run_once("erase_subject", scope, once, move |tx| {
            let (shared, command, traceparent) = (Arc::clone(&shared), Arc::clone(&command), traceparent.clone());
            Box::pin(async move {
                let (db, work) = &*shared;
                let mut counts = work(tx, as_stored(tx, &command).await?).await?;
                counts.insert(format!("{}.dead_letters", db.0.schema), letters);
                let erased = SubjectErased {
                    tenant_id: command.tenant_id.clone(),
                    request_id: command.request_id,
                    service: db.0.schema.to_owned(),
                    counts,
                    erased_at: tx.now().await?,
                };
                db.add_to_outbox(tx, vec![erased.clone().into_message(traceparent)]).await?;
                Ok(erased)
            })
        })
        .await
    }
}

/// The command with what is stored for ids that tell a person; those are still in it, as they may stand in older rows.
async fn as_stored(tx: &Tx, command: &Arc<EraseSubject>) -> Result<Arc<EraseSubject>, crate::Error> {
    if !command.ids().any(tells_a_person) {
        return Ok(Arc::clone(command));
    }
    let salt = id_salt(tx, &command.tenant_id).await?;
    let mut command = EraseSubject::clone(command);
    let users: Vec<String> = command.user_ids.iter().map(|user| salt.user_id(user).into_owned()).collect();
    let contacts: Vec<_> = command.contact_ids.iter().map(|contact| salt.contact_id(contact).into_owned()).collect();
    command.user_ids.extend(users);
    command.contact_ids.extend(contacts);
    Ok(Arc::new(command))
}
