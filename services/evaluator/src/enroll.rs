//! Enrolling contacts in a workflow. The unique index decides who is first; what a contact did before is read after the
//! insert as well, so a decision that was overtaken is made again.

use crate::asked;
use crate::contacts;
use crate::error::Error;
use crate::on_enroll::{self, Held};
use crate::origin::Origin;
use crate::recheck;
use crate::store::configuration::LiveGoal;
use crate::store::enrollments::{self, Enrollment, New};
use crate::store::{judged, planning, workflows};
use domain::contract::{EnrollmentCreated, Fact};
use domain::enrollment::ExitReason;
use domain::goal::OnEnroll;
use domain::ids::{ContactId, EnrollmentId, GoalId, TenantId, WorkflowId};
use domain::once::{Answered, Once};
use pg::{Db, Scope, Tx};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use time::OffsetDateTime;
use uuid::Uuid;

/// How often a decision is made again that others have overtaken.
const MOST_ATTEMPTS: u32 = 5;

/// A contact to be enrolled.
#[derive(Clone, Debug)]
pub struct Request {
    pub contact_id: ContactId,
    /// None: now.
    pub enrolled_at: Option<OffsetDateTime>,
    pub current_step: Option<Step>,
}

/// Where in the workflow a contact is: the engine's own number or name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    Number(i64),
    Name(String),
}

impl Step {
    fn json(&self) -> String {
        match self {
            Self::Number(number) => number.to_string(),
            Self::Name(name) => domain::json::Json::from(name.as_str()).to_text(),
        }
    }

    fn text(&self) -> String {
        match self {
            Self::Number(number) => number.to_string(),
            Self::Name(name) => name.clone(),
        }
    }
}

/// What became of a request.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// Enrolled; already ended again where a goal with `on_enroll: exit` held.
    Created(Box<Enrollment>),
    /// The contact has an active enrollment.
    Existing(EnrollmentId),
    /// A goal with `on_enroll: skip_enrollment` holds already.
    Skipped(ContactId, GoalId),
    /// The contact was enrolled before and may not come again.
    ReentryNotAllowed,
    /// `enrolled_at` lies in the future.
    InFuture,
}

/// What became of one contact that nothing speaks against.
#[derive(Clone, Debug)]
pub enum Entered {
    /// Enrolled; already ended again where a goal with `on_enroll: exit` held.
    Enrolled(Box<Enrollment>),
    /// A goal with `on_enroll: skip_enrollment` holds already.
    Skipped { workflow_id: WorkflowId, contact_id: ContactId, goal_id: GoalId },
}

/// Enrolls one contact, or is refused for it.
pub async fn one(
    db: &Db,
    origin: &Origin,
    workflow: WorkflowId,
    request: Request,
    once: Once<Entered>,
) -> Result<Answered<Entered>, Error> {
    let of_one = move |mut outcomes: Vec<Outcome>| match outcomes.pop().ok_or(Error::Overtaken)? {
        Outcome::Created(enrollment) => Ok(Entered::Enrolled(enrollment)),
        Outcome::Existing(id) => Err(Error::AlreadyEnrolled(id)),
        Outcome::ReentryNotAllowed => Err(Error::ReentryNotAllowed),
        Outcome::InFuture => Err(Error::Invalid(asked::in_future())),
        Outcome::Skipped(contact_id, goal_id) => Ok(Entered::Skipped { workflow_id: workflow, contact_id, goal_id }),
    };
    carry_out(db, origin, (workflow, vec![request]), once, of_one).await
}

/// Enrolls contacts; one outcome per request, in the same order. A contact that is named twice is enrolled once.
pub async fn many(
    db: &Db,
    origin: &Origin,
    workflow: WorkflowId,
    requests: Vec<Request>,
    once: Once<Vec<Outcome>>,
) -> Result<Answered<Vec<Outcome>>, Error> {
    carry_out(db, origin, (workflow, requests), once, Ok).await
}

/// Makes the decision again that others have overtaken.
async fn carry_out<T: Send + 'static>(
    db: &Db,
    origin: &Origin,
    (workflow, requests): (WorkflowId, Vec<Request>),
    once: Once<T>,
    outcome_of: impl Fn(Vec<Outcome>) -> Result<T, Error> + Send + Sync + 'static,
) -> Result<Answered<T>, Error> {
    let shared = Arc::new((db.clone(), origin.clone(), requests, outcome_of));
    let mut attempt = 1;
    loop {
        let (shared, scope) = (Arc::clone(&shared), Scope::Tenant(origin.tenant.clone()));
        let outcome = db
            .run_once("enroll", scope, once.clone(), move |tx| {
                let shared = Arc::clone(&shared);
                Box::pin(async move {
                    let (db, origin, requests, outcome_of) = &*shared;
                    let requests = contacts::enrolled(tx, &origin.tenant, requests).await?;
                    outcome_of(Enrolling::begin(db, tx, origin, workflow).await?.enroll(&requests).await?)
                })
            })
            .await;
        match outcome {
            Err(Error::Overtaken) if attempt < MOST_ATTEMPTS => attempt += 1,
            outcome => return outcome,
        }
    }
}

/// One attempt, inside its transaction.
struct Enrolling<'a> {
    db: &'a Db,
    tx: &'a Tx,
    origin: &'a Origin,
    workflow: WorkflowId,
    allow_reentry: bool,
    /// The goals of the workflow that may hold already.
    goals: Vec<LiveGoal>,
    /// The database clock when it began: what is said about now is said about this moment.
    now: OffsetDateTime,
}

impl<'a> Enrolling<'a> {
    /// Reads what it needs to know of the workflow, in one flight; what follows looks up contacts, and is planned once.
    async fn begin(db: &'a Db, tx: &'a Tx, origin: &'a Origin, workflow: WorkflowId) -> Result<Self, Error> {
        let flight = Box::pin(async {
            futures_util::try_join!(
                judged::clock(tx),
                workflows::find(tx, &origin.tenant, workflow),
                on_enroll::goals(tx, &origin.tenant, workflow),
                planning::once(tx)
            )
        });
        let (now, found, goals, ()) = flight.await?;
        let allow_reentry = found.ok_or(Error::WorkflowNotFound)?.allow_reentry;
        Ok(Self { db, tx, origin, workflow, allow_reentry, goals, now })
    }

    async fn enroll(mut self, requests: &[Request]) -> Result<Vec<Outcome>, Error> {
        let in_future = |request: &Request| request.enrolled_at.is_some_and(|at| at > self.now);

        // Of several requests for one contact the first counts.
        let mut wanted: BTreeMap<&ContactId, &Request> = BTreeMap::new();
        for request in requests.iter().filter(|request| !in_future(request)) {
            wanted.entry(&request.contact_id).or_insert(request);
        }
        let mut outcomes = HashMap::new();
        let open = self.without_earlier(&wanted, &mut outcomes).await?;
        let since: Vec<(&ContactId, OffsetDateTime)> =
            open.iter().map(|request| (&request.contact_id, self.enrolled_at(request))).collect();
        let goals = std::mem::take(&mut self.goals);
        let mut holding = on_enroll::holding(self.tx, &self.origin.tenant, goals, &since).await?;
        let mut entering = Vec::new();
        for request in open {
            match holding.get(&request.contact_id) {
                Some(held) if held.on_enroll == OnEnroll::SkipEnrollment => {
                    let contact = request.contact_id.clone();
                    outcomes.insert(contact.clone(), Outcome::Skipped(contact, held.goal_id));
                }
                _ => entering.push(request),
            }
        }
        holding.retain(|_, held| held.on_enroll == OnEnroll::Exit);
        self.enter(&entering, &holding, &mut outcomes).await?;
        answers(requests, in_future, &outcomes)
    }

    fn enrolled_at(&self, request: &Request) -> OffsetDateTime {
        request.enrolled_at.unwrap_or(self.now)
    }

    fn row(&self, request: &Request) -> New {
        New {
            id: Uuid::now_v7().into(),
            contact_id: request.contact_id.clone(),
            enrolled_at: self.enrolled_at(request),
            current_step: request.current_step.as_ref().map(Step::json),
        }
    }

    /// The requests that nothing speaks against so far; the outcome of the others.
    async fn without_earlier<'r>(
        &self,
        wanted: &BTreeMap<&ContactId, &'r Request>,
        outcomes: &mut HashMap<ContactId, Outcome>,
    ) -> Result<Vec<&'r Request>, Error> {
        let earlier = self.standing(wanted.keys().copied()).await?;
        let mut open = Vec::new();
        for (&contact, &request) in wanted {
            let outcome = match earlier.get(contact) {
                Some(Standing { active: Some(id), .. }) => Outcome::Existing(*id),
                Some(Standing { ended: true, .. }) if !self.allow_reentry => Outcome::ReentryNotAllowed,
                _ => {
                    open.push(request);
                    continue;
                }
            };
            outcomes.insert(contact.clone(), outcome);
        }
        Ok(open)
    }

    async fn standing(
        &self,
        contacts: impl Iterator<Item = &ContactId>,
    ) -> Result<HashMap<ContactId, Standing>, Error> {
        let contacts: Vec<&str> = contacts.map(ContactId::as_str).collect();
        let mut standing: HashMap<ContactId, Standing> = HashMap::new();
        for (contact, id, active) in
            enrollments::standing(self.tx, &self.origin.tenant, self.workflow, &contacts).await?
        {
            let entry = standing.entry(contact).or_default();
            if active {
                entry.active = Some(id);
            } else {
                entry.ended = true;
            }
        }
        Ok(standing)
    }

    /// Makes the enrollments, ends those whose goal holds already, and writes what follows from the others.
    async fn enter(
        &self,
        entering: &[&Request],
        holding: &HashMap<ContactId, Held>,
        outcomes: &mut HashMap<ContactId, Outcome>,
    ) -> Result<(), Error> {
        let new: Vec<New> = entering.iter().map(|request| self.row(request)).collect();
        let made = enrollments::insert((self.tx, self.now), &self.origin.tenant, self.workflow, &new).await?;
        let made: HashMap<ContactId, Enrollment> = made.into_iter().map(|e| (e.contact_id.clone(), e)).collect();
        // Others may have come first, or have come and gone, since the first look.
        let now_there = if made.len() < new.len() || !self.allow_reentry {
            self.standing(entering.iter().map(|request| &request.contact_id)).await?
        } else {
            HashMap::new()
        };
        for request in entering {
            let there = now_there.get(&request.contact_id).copied().unwrap_or_default();
            match made.get(&request.contact_id) {
                Some(_) if there.ended && !self.allow_reentry => return Err(Error::Overtaken),
                Some(_) => {}
                None => {
                    let id = there.active.ok_or(Error::Overtaken)?;
                    outcomes.insert(request.contact_id.clone(), Outcome::Existing(id));
                }
            }
        }
        let (satisfied, active): (Vec<Enrollment>, Vec<Enrollment>) =
            made.into_values().partition(|enrollment| holding.contains_key(&enrollment.contact_id));
        self.tell(entering, &active).await?;
        let ids: Vec<EnrollmentId> = satisfied.iter().map(|enrollment| enrollment.id).collect();
        let ended = match ids.as_slice() {
            [] => Vec::new(),
            ids => {
                planning::anew(self.tx).await?;
                enrollments::end(self.tx, &self.origin.tenant, ids, ExitReason::AlreadySatisfied, None).await?
            }
        };
        for enrollment in active.into_iter().chain(ended) {
            outcomes.insert(enrollment.contact_id.clone(), Outcome::Created(Box::new(enrollment)));
        }
        Ok(())
    }

    /// The fact of each enrollment, and the rechecks: no event can fall between an enrollment and its evaluation. Nothing is
    /// told of an enrollment that ended with its beginning: nobody is to act on it.
    async fn tell(&self, entering: &[&Request], active: &[Enrollment]) -> Result<(), Error> {
        let steps: HashMap<&ContactId, Option<&Step>> =
            entering.iter().map(|request| (&request.contact_id, request.current_step.as_ref())).collect();
        let ids: Vec<EnrollmentId> = active.iter().map(|enrollment| enrollment.id).collect();
        let mut messages = recheck::commands(self.origin, self.workflow, &ids);
        messages.extend(active.iter().map(|enrollment| {
            let step = steps.get(&enrollment.contact_id).copied().flatten();
            created(&self.origin.tenant, enrollment, step).into_message(self.origin.traceparent.clone())
        }));
        Ok(self.db.add_to_outbox(self.tx, messages).await?)
    }
}

/// How a contact stands to the workflow.
#[derive(Clone, Copy, Default)]
struct Standing {
    active: Option<EnrollmentId>,
    ended: bool,
}

fn created(tenant: &TenantId, enrollment: &Enrollment, step: Option<&Step>) -> EnrollmentCreated {
    EnrollmentCreated {
        tenant_id: tenant.clone(),
        workflow_id: enrollment.workflow_id,
        enrollment_id: enrollment.id,
        contact_id: enrollment.contact_id.clone(),
        enrolled_at: enrollment.enrolled_at,
        created_at: enrollment.created_at,
        current_step: step.map(Step::text),
        enrollment_version: i64::from(enrollment.version),
    }
}

/// The outcome of each request. One that repeats another finds what that one made.
fn answers(
    requests: &[Request],
    in_future: impl Fn(&Request) -> bool,
    outcomes: &HashMap<ContactId, Outcome>,
) -> Result<Vec<Outcome>, Error> {
    let mut answered: HashSet<&ContactId> = HashSet::new();
    let mut answers = Vec::with_capacity(requests.len());
    for request in requests {
        if in_future(request) {
            answers.push(Outcome::InFuture);
            continue;
        }
        let again = !answered.insert(&request.contact_id);
        answers.push(match outcomes.get(&request.contact_id).ok_or(Error::Overtaken)? {
            Outcome::Created(enrollment) if again => Outcome::Existing(enrollment.id),
            outcome => outcome.clone(),
        });
    }
    Ok(answers)
}
