//! What the client does in one run: enroll, send, send again, act, deactivate; in an order that the seed decides.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::seq::{IndexedRandom, SliceRandom};
use rand::{RngExt, SeedableRng};
use uuid::Uuid;

use crate::client::{Tenant, midnight};
use crate::facts;
use crate::ledger::{Answer, Kind, Ledger, Sent};
use crate::purchases::{Aim, Purchase, first_days, reached};

/// Senders at once.
const SENDERS: usize = 4;
const EVENTS_OF_A_REQUEST: usize = 20;
const ENROLLED_AT_ONCE: usize = 40;
/// While faults are still to come, the work goes on slowly from here, and stops there.
const SLOW_FROM: f64 = 0.7;
const STOP_AT: f64 = 0.88;
const SLOW: Duration = Duration::from_millis(1200);

/// One thing that the client does.
#[derive(Clone, Debug)]
enum Step {
    /// These purchases, by their place.
    Send(Vec<usize>),
    Enroll(Aim, Vec<(String, String)>),
    /// Schedules one that is due for somebody; asks to start another.
    Act,
    Deactivate,
}

/// The work of one run, and how far it is.
pub struct Workload {
    pub purchases: Vec<Purchase>,
    pub customers: usize,
    pub ledger: RefCell<Ledger>,
    pub finished: Cell<bool>,
    /// Whether a fault is still to come.
    pub awaits_faults: Cell<bool>,
    steps: RefCell<VecDeque<Step>>,
    before: Vec<Step>,
    total: usize,
    pace: Duration,
    rng: RefCell<StdRng>,
}

impl Workload {
    /// The purchases of so many customers, spread over about this time.
    pub fn plan(customers: usize, over: Duration, seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let purchases = crate::purchases::of_first(customers);
        let days: Vec<(String, String)> = first_days(&purchases).into_iter().collect();
        let (mut before, mut steps) = (Vec::new(), Vec::new());
        for aim in Aim::ALL {
            let mut days = days.clone();
            days.shuffle(&mut rng);
            for (number, chunk) in days.chunks(ENROLLED_AT_ONCE).enumerate() {
                let step = Step::Enroll(aim, chunk.to_vec());
                // Half of them are there before the first event.
                if number % 2 == 0 { before.push(step) } else { steps.push(step) }
            }
        }
        let mut order: Vec<usize> = (0..purchases.len()).collect();
        order.shuffle(&mut rng);
        for chunk in order.chunks(EVENTS_OF_A_REQUEST) {
            steps.push(Step::Send(chunk.to_vec()));
            // Some come twice, at any distance.
            if rng.random_bool(0.15) {
                steps.push(Step::Send(chunk.to_vec()));
            }
            if rng.random_bool(0.3) {
                steps.push(Step::Act);
            }
        }
        steps.shuffle(&mut rng);
        steps.insert(steps.len() * 3 / 4, Step::Deactivate);
        let total = steps.len();
        Self {
            customers: days.len(),
            purchases,
            ledger: RefCell::default(),
            finished: Cell::new(false),
            awaits_faults: Cell::new(true),
            steps: RefCell::new(steps.into()),
            before,
            total,
            pace: over * u32::try_from(SENDERS).unwrap() / u32::try_from(total).unwrap(),
            rng: RefCell::new(rng),
        }
    }

    /// How much of the work has been begun, from 0 to 1.
    pub fn begun(&self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "a share")]
        let left = self.steps.borrow().len() as f64 / self.total as f64;
        1.0 - left
    }

    /// What is there before the first event.
    pub async fn prepare(&self, tenant: &Tenant) {
        for step in &self.before {
            self.take(step, tenant, "").await;
        }
    }

    /// Does everything, each step until it is answered.
    pub async fn run(&self, tenant: &Tenant, database_url: &str) {
        let senders = (0..SENDERS).map(|_| self.sender(tenant, database_url));
        futures_util::future::join_all(senders).await;
    }

    async fn sender(&self, tenant: &Tenant, database_url: &str) {
        loop {
            if self.awaits_faults.get() && self.begun() > STOP_AT {
                tokio::time::sleep(Duration::from_millis(20)).await;
                continue;
            }
            let Some(step) = self.steps.borrow_mut().pop_front() else { return };
            self.take(&step, tenant, database_url).await;
            let is_slow = self.awaits_faults.get() && self.begun() > SLOW_FROM;
            tokio::time::sleep(if is_slow { SLOW } else { self.pace }).await;
        }
    }

    async fn take(&self, step: &Step, tenant: &Tenant, database_url: &str) {
        match step {
            Step::Send(places) => {
                let (events, body) = self.request(places);
                tenant.send(&self.ledger, events, &body).await;
            }
            Step::Enroll(aim, contacts) => {
                tenant.enroll(&self.ledger, *aim, contacts).await;
                if *aim == Aim::Big {
                    self.schedule(tenant, contacts).await;
                }
            }
            Step::Act => {
                let workflow = tenant.workflow(Aim::Big);
                let of_it: Vec<Uuid> = {
                    let ledger = self.ledger.borrow();
                    ledger
                        .enrolled
                        .iter()
                        .filter(|(key, _)| key.0 == workflow)
                        .map(|(_, enrollment)| *enrollment)
                        .collect()
                };
                let somebody = of_it.choose(&mut *self.rng.borrow_mut()).copied();
                if let Some(enrollment) = somebody {
                    tenant.schedule(&self.ledger, enrollment, true).await;
                }
                let action = self.ledger.borrow().actions.choose(&mut *self.rng.borrow_mut()).copied();
                if let Some(action) = action {
                    tenant.start(&self.ledger, action).await;
                }
            }
            Step::Deactivate => {
                tenant.deactivate(&self.ledger, Aim::Frozen).await;
                let count = loop {
                    let database = crate::cluster::connect(database_url).await;
                    if let Ok(count) = facts::achieved(&database, tenant.workflow(Aim::Frozen)).await {
                        break count;
                    }
                };
                self.ledger.borrow_mut().at_deactivation = Some(count);
            }
        }
    }

    /// An action for each of them who is going to leave; every second is due.
    async fn schedule(&self, tenant: &Tenant, contacts: &[(String, String)]) {
        let leaving = reached(Aim::Big, &self.purchases);
        let workflow = tenant.workflow(Aim::Big);
        let leaving = contacts.iter().filter(|(contact, _)| leaving.contains_key(contact));
        for (number, (contact, _)) in leaving.enumerate() {
            let enrollment = self.ledger.borrow().enrolled.get(&(workflow, contact.clone())).copied();
            if let Some(enrollment) = enrollment {
                tenant.schedule(&self.ledger, enrollment, number % 2 == 1).await;
            }
        }
    }

    /// The events with their bytes; now and then one among them that must be refused.
    fn request(&self, places: &[usize]) -> (Vec<Sent>, String) {
        let sound = |place: &usize| {
            let purchase = &self.purchases[*place];
            (Sent { event_id: purchase.event_id, kind: Kind::Sound }, event(purchase, &purchase.amount))
        };
        let mut events: Vec<(Sent, String)> = places.iter().map(sound).collect();
        let mut rng = self.rng.borrow_mut();
        if rng.random_bool(0.3) {
            let id = Uuid::now_v7();
            let bad = format!(r#"{{"event_id": "{id}", "occurred_at": "1997-01-01T00:00:00Z", "contact_id": "1"}}"#);
            let place = rng.random_range(0..=events.len());
            events.insert(place, (Sent { event_id: id, kind: Kind::Bad }, bad));
        }
        if rng.random_bool(0.3)
            && let Some(purchase) = self.stored_one(&mut rng)
        {
            let other = event(purchase, "123456.78");
            let place = rng.random_range(0..=events.len());
            events.insert(place, (Sent { event_id: purchase.event_id, kind: Kind::Conflicting }, other));
        }
        let (sent, texts): (Vec<Sent>, Vec<String>) = events.into_iter().unzip();
        (sent, format!(r#"{{"events": [{}]}}"#, texts.join(",")))
    }

    /// A purchase that was answered.
    fn stored_one(&self, rng: &mut StdRng) -> Option<&Purchase> {
        let ledger = self.ledger.borrow();
        let sending = ledger.sendings.choose(rng)?;
        let Answer::Verdicts(verdicts) = &sending.answer else { return None };
        let (event, verdict) = sending.events.iter().zip(verdicts).next()?;
        let is_stored = event.kind == Kind::Sound && ["accepted", "duplicate"].contains(&verdict.status.as_str());
        is_stored.then(|| self.purchases.iter().find(|it| it.event_id == event.event_id)).flatten()
    }
}

fn event(purchase: &Purchase, amount: &str) -> String {
    let Purchase { event_id, customer, day, quantity, .. } = purchase;
    let at = midnight(day);
    format!(
        r#"{{"event_id": "{event_id}", "event_name": "payment.completed", "occurred_at": "{at}", "contact_id": "{customer}",
            "properties": {{"amount": {amount}, "quantity": {quantity}}}}}"#
    )
}
