//! Changes of a workflow, asked for one after the other. What holds afterwards is looked up, and must be what the model makes
//! of the change; only the moments are taken over.

use std::collections::BTreeMap;

use domain::workflow::WorkflowStatus;
use reqwest::{Method, StatusCode};
use serde_json::json;
use uuid::Uuid;

use crate::allowed;
use crate::api::{Answer, Api};
use crate::facts::{StoredGoal, configuration};
use crate::history::{Change, Configured, SECOND};
use crate::oracle::{Id, Moment};

/// The moment of a change, until it is known.
const NOW: Moment = Moment::MAX;

/// A workflow, and what became of it so far.
pub struct Flow {
    pub id: Uuid,
    pub allows_reentry: bool,
    pub configured: Configured,
    pub changes: Vec<allowed::Change>,
}

impl Flow {
    /// Asks for a change until it is answered.
    pub async fn change(&mut self, api: &Api, (tenant, key): (&str, &str), change: &Change) {
        let before = api.clock().await;
        let (method, path, body) = request(change);
        let path = format!("/api/v1/workflows/{}{path}", self.id);
        let answer = api.insist(("goals", method, &path, key, &body)).await;
        assert!(is_sound(change, &answer), "{change:?}: {answer:?}");
        let (status, logic, goals) = configuration(api, tenant, self.id).await;
        let clock = (before, api.clock().await);
        let new = goals.keys().find(|id| self.configured.now.goals.iter().all(|goal| goal.id != **id)).copied();
        let rechecks = self.configured.make(change, new.unwrap_or_default(), NOW);
        assert_eq!(status.parse::<WorkflowStatus>().unwrap(), self.configured.status, "after {change:?}");
        let model: serde_json::Value = serde_json::from_str(&self.configured.now.logic.json()).unwrap();
        assert_eq!(serde_json::from_str::<serde_json::Value>(&logic).unwrap(), model, "after {change:?}");
        self.take_over(&goals, clock, change);
        let to = self.configured.now.clone();
        self.changes.push(allowed::Change { span: answer.span, to, rechecks, clock });
        if answer.attempts > 1 && !answer.status.is_success() {
            api.note_found_done();
        }
    }

    /// The goals that are stored are those of the model; the moment of the change becomes known.
    fn take_over(&mut self, stored: &BTreeMap<Id, StoredGoal>, clock: (Moment, Moment), change: &Change) {
        let taken = |model: Moment, stored: Moment| {
            let is_now = model == NOW && clock.0 <= stored && stored <= clock.1;
            assert!(is_now || model == stored, "after {change:?}: {model} is stored as {stored}, at {clock:?}");
            stored
        };
        assert_eq!(stored.len(), self.configured.now.goals.len(), "goals after {change:?}");
        for goal in &mut self.configured.now.goals {
            let is = &stored[&goal.id];
            assert_eq!(
                (is.version, is.position, is.active, is.within, is.effective_from.is_some()),
                (goal.version, goal.position, goal.active, goal.within, goal.effective_from.is_some()),
                "a goal after {change:?}"
            );
            goal.created_at = taken(goal.created_at, is.created_at);
            goal.effective_from = goal.effective_from.zip(is.effective_from).map(|(model, is)| taken(model, is));
        }
    }
}

fn request(change: &Change) -> (Method, String, String) {
    let within = |within: &Option<Moment>| within.map(|it| format!("{}s", it / SECOND));
    let patch = |id: &Id, body: String| (Method::PATCH, format!("/goals/{}", Uuid::from_u128(*id)), body);
    let post = |path: &str, body: String| (Method::POST, path.to_owned(), body);
    match change {
        Change::Add { wish, within: window, position } => {
            let (window, goal_type, criteria) = (json!(within(window)), wish.goal_type(), wish.json());
            let body = format!(
                r#"{{"goal_type": "{goal_type}", "criteria": {criteria}, "within": {window}, "position": {position}}}"#
            );
            post("/goals", body)
        }
        Change::Wish(id, wish) => patch(id, format!(r#"{{"criteria": {}}}"#, wish.json())),
        Change::Within(id, window) => patch(id, json!({"within": within(window)}).to_string()),
        Change::Position(id, position) => patch(id, json!({"position": position}).to_string()),
        Change::Switch(id, active) => {
            patch(id, json!({"status": if *active { "active" } else { "inactive" }}).to_string())
        }
        Change::Delete(id) => (Method::DELETE, format!("/goals/{}", Uuid::from_u128(*id)), String::new()),
        Change::Logic(logic) => (Method::PATCH, String::new(), format!(r#"{{"goal_logic": {}}}"#, logic.json())),
        Change::Activate { catch_up } => post("/activate", json!({"catch_up": catch_up}).to_string()),
        Change::Pause => post("/pause", "{}".to_owned()),
        Change::Deactivate => post("/deactivate", "{}".to_owned()),
    }
}

/// A success; or what is answered to somebody who asks again for what has been done.
fn is_sound(change: &Change, answer: &Answer) -> bool {
    let again = match change {
        Change::Add { .. } => Some(StatusCode::CONFLICT),
        Change::Delete(_) => Some(StatusCode::NOT_FOUND),
        _ => None,
    };
    answer.status.is_success() || (answer.attempts > 1 && again == Some(answer.status))
}
