//! The queue `evaluator.commands`. Rechecks are taken together, what is asked for (`requests`) one after the other.

use super::{MALFORMED, enter, failed, requests};
use crate::configuration::{Configurations, Fresh};
use crate::error::Error;
use crate::evaluate::Evaluator;
use crate::metrics::Metrics;
use crate::nominations::{Hint, Nominations};
use crate::origin::Origin;
use crate::recheck;
use crate::store::{Pair, enrollments};
use bus::{Action, Handler, Message};
use domain::contract::{Command, Recheck, parse_command};
use domain::ids::{EnrollmentId, TenantId};
use domain::outbox::BoxFuture;
use pg::{Db, Scope};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Handles the queue `evaluator.commands`.
pub struct Commands {
    pub db: Db,
    pub configurations: Arc<Configurations>,
    pub evaluator: Evaluator,
    pub metrics: Metrics,
}

/// A recheck that was read.
struct Asked<'a> {
    /// Where its message stands among those given together.
    place: usize,
    message: &'a Message,
    recheck: Recheck,
}

impl Handler for Commands {
    fn handle<'a>(&'a self, messages: &'a [Message]) -> BoxFuture<'a, Vec<Action>> {
        Box::pin(async move {
            let mut actions = vec![Action::Ack; messages.len()];
            let mut away = None;
            let mut rechecks = Vec::with_capacity(messages.len());
            for (place, message) in messages.iter().enumerate() {
                if let Some(request) = requests::read(message) {
                    actions[place] = self.request(request, &mut away).await;
                    continue;
                }
                match read(message) {
                    Ok(recheck) => rechecks.push(Asked { place, message, recheck }),
                    Err(action) => actions[place] = action,
                }
            }
            self.rechecks(&rechecks, &mut actions).await;
            actions
        })
    }
}

fn read(message: &Message) -> Result<Recheck, Action> {
    if message.routing_key != Recheck::ROUTING_KEY {
        let cause = format!("the command {} is not known here", message.routing_key);
        return Err(Action::DeadLetter { code: "unknown_command", cause });
    }
    parse_command(&message.body).map_err(|fault| Action::DeadLetter { code: MALFORMED, cause: fault.to_string() })
}

impl Commands {
    /// Carries out what is asked for. Once something is away the following wait too, so that they keep their order.
    async fn request(&self, request: Result<requests::Request, Action>, away: &mut Option<Action>) -> Action {
        let request = match (request, &away) {
            (Err(action), _) => return action,
            (Ok(_), Some(action)) => return action.clone(),
            (Ok(request), None) => request,
        };
        let action = requests::carry_out(&self.db, &self.metrics, request).await;
        if matches!(action, Action::Retry(_)) {
            *away = Some(action.clone());
        }
        action
    }

    async fn rechecks(&self, rechecks: &[Asked<'_>], actions: &mut [Action]) {
        let tenants: BTreeSet<TenantId> = rechecks.iter().map(|asked| asked.recheck.tenant_id.clone()).collect();
        if tenants.is_empty() {
            return;
        }
        let fresh = match self.configurations.fresh(tenants).await {
            Ok(fresh) => fresh,
            Err(error) => {
                rechecks.iter().for_each(|asked| actions[asked.place] = failed(&error));
                return;
            }
        };
        let mut nominations = Nominations::default();
        for asked in rechecks {
            if let Err(action) = self.recheck(asked, &fresh, &mut nominations).await {
                actions[asked.place] = action;
            }
        }
        enter(self.evaluator.evaluate(nominations, &fresh).await, actions);
    }

    /// Nominates the enrollments that a recheck names, or turns it into rechecks that name them. Where no goal listens there is
    /// nothing to judge.
    async fn recheck(
        &self,
        &Asked { place, message, ref recheck }: &Asked<'_>,
        fresh: &Fresh,
        nominations: &mut Nominations,
    ) -> Result<(), Action> {
        let (tenant, workflow) = (&recheck.tenant_id, recheck.workflow_id);
        match fresh.get(tenant) {
            None => return Ok(()),
            Some(Err(error)) => return Err(failed(error)),
            Some(Ok(configuration)) if configuration.rules.workflow(workflow).is_none() => {
                return Ok(());
            }
            Some(Ok(_)) => {}
        }
        let Some(ids) = &recheck.enrollment_ids else {
            let origin = Origin { tenant: tenant.clone(), traceparent: message.traceparent.clone() };
            let enrollments = recheck::expand(&self.db, &origin, workflow).await.map_err(|error| failed(&error))?;
            tracing::info!(%tenant, %workflow, enrollments, "a recheck of a whole workflow");
            return Ok(());
        };
        let pairs = self.pairs(tenant.clone(), ids.as_slice().into()).await.map_err(|error| failed(&error))?;
        for (workflow, contact) in pairs {
            let trace = message.traceparent.as_deref().map(|traceparent| (traceparent, None));
            nominations.add(tenant, (workflow, &contact), Hint { message: place, received_at: None, trace });
        }
        Ok(())
    }

    async fn pairs(&self, tenant: TenantId, ids: Arc<[EnrollmentId]>) -> Result<Vec<Pair>, Error> {
        let scope = Scope::Tenant(tenant.clone());
        self.db
            .run_tx("find_rechecked", scope, move |tx| {
                let (tenant, ids) = (tenant.clone(), Arc::clone(&ids));
                Box::pin(async move { Ok(enrollments::pairs_of(tx, &tenant, &ids).await?) })
            })
            .await
    }
}
