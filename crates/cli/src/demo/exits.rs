//! What the subscriber of `workflow.exit.goal` got: every message is held to the contract and to the purchase it tells of.

use std::collections::HashMap;

use anyhow::{Context, ensure};
use bus::{Message, Subscription};
use bytes::Bytes;
use domain::contract::{CLOUD_EVENT, CloudEvent, Fact, WorkflowExitGoal, exchange, parse_fact};
use domain::enrollment::ExitReason;
use domain::goal::GoalType;
use domain::ids::{EventId, TenantId, WorkflowId};
use serde::Deserialize;
use uuid::Uuid;

use super::purchases::Purchase;

/// How many faulty messages are told of, each with its fault.
const FAULTS_KEPT: usize = 5;

/// A queue that was bound before the first event.
pub async fn subscribe(amqp_url: &str) -> anyhow::Result<Subscription> {
    Subscription::open(amqp_url, exchange::WORKFLOW, WorkflowExitGoal::ROUTING_KEY)
        .await
        .context("cannot subscribe to workflow.exit.goal")
}

/// The exits of one workflow, as its subscriber sees them.
#[derive(Default)]
pub struct Exits {
    /// Messages, repeats included.
    pub received: u64,
    /// Messages that break the contract.
    pub faulty: u64,
    /// What was wrong with the first of them.
    pub faults: Vec<String>,
    distinct: HashMap<Uuid, Bytes>,
    by_event: HashMap<EventId, u64>,
}

/// What the messages are compared with.
pub struct Expected<'a> {
    pub tenant: &'a TenantId,
    pub workflow: WorkflowId,
    pub purchases: HashMap<EventId, &'a Purchase>,
}

impl Exits {
    /// Takes a message; those of other tenants are not ours.
    pub fn take(&mut self, message: Message, expected: &Expected<'_>) {
        #[derive(Deserialize)]
        struct Whose {
            tenantid: String,
        }
        let whose = serde_json::from_slice::<Whose>(&message.body);
        if whose.is_ok_and(|whose| whose.tenantid != expected.tenant.as_str()) {
            return;
        }
        self.received += 1;
        if let Err(fault) = self.note(message, expected) {
            self.faulty += 1;
            if self.faults.len() < FAULTS_KEPT {
                self.faults.push(format!("{fault:#}"));
            }
        }
    }

    fn note(&mut self, message: Message, expected: &Expected<'_>) -> anyhow::Result<()> {
        let event = parse_fact::<WorkflowExitGoal>(&message.body)
            .map_err(|fault| anyhow::anyhow!("{} {}: {}", fault.code, fault.pointer, fault.message))?;
        check_envelope(&message, &event)?;
        check_exit(&event, expected).with_context(|| format!("exit {}", event.id))?;
        match self.distinct.get(&event.id) {
            Some(first) => ensure!(*first == message.body, "exit {} came again with other bytes", event.id),
            None => {
                self.distinct.insert(event.id, message.body);
                *self.by_event.entry(event.data.trigger_event_id).or_default() += 1;
            }
        }
        Ok(())
    }

    /// The different messages as they came, one in a line.
    pub fn lines(&self) -> Vec<u8> {
        self.distinct.values().flat_map(|body| body.iter().copied().chain([b'\n'])).collect()
    }

    /// How many different exits there were.
    pub fn distinct(&self) -> u64 {
        self.distinct.len() as u64
    }

    /// How many messages repeated another one.
    pub fn repeats(&self) -> u64 {
        self.received - self.faulty - self.distinct()
    }

    /// How many exits this event brought about.
    pub fn by(&self, event: EventId) -> u64 {
        self.by_event.get(&event).copied().unwrap_or_default()
    }
}

/// The attributes of the CloudEvent, and the AMQP properties that repeat them.
fn check_envelope(message: &Message, event: &CloudEvent<WorkflowExitGoal>) -> anyhow::Result<()> {
    ensure!(message.content_type.as_deref() == Some(CLOUD_EVENT), "content type {:?}", message.content_type);
    ensure!(message.message_id == Some(event.id), "message_id {:?}, id {}", message.message_id, event.id);
    ensure!(message.routing_key == event.event_type, "routing key {}", message.routing_key);
    ensure!(event.specversion == "1.0", "specversion {}", event.specversion);
    ensure!(event.id == event.data.fact_id(), "id {} is not that of enrollment and version", event.id);
    ensure!(event.source == "/goalpost/evaluator", "source {}", event.source);
    ensure!(event.subject == event.data.enrollment_id.to_string(), "subject {}", event.subject);
    ensure!(event.datacontenttype == "application/json", "datacontenttype {}", event.datacontenttype);
    ensure!(event.time == event.data.exited_at, "time {}", event.time);
    Ok(())
}

/// The exit itself, against the purchase that is said to have brought it about.
fn check_exit(event: &CloudEvent<WorkflowExitGoal>, expected: &Expected<'_>) -> anyhow::Result<()> {
    let exit = &event.data;
    ensure!(exit.workflow_id == expected.workflow, "workflow {}", exit.workflow_id);
    ensure!(exit.exit_reason == ExitReason::GoalAchieved, "exit reason {}", exit.exit_reason);
    ensure!(exit.goal_type == GoalType::PurchaseMade, "goal type {}", exit.goal_type);
    let [achievement] = &exit.achievements[..] else {
        anyhow::bail!("{} achievements under `any`", exit.achievements.len());
    };
    ensure!(achievement.event_id == exit.trigger_event_id, "achieved by {}", achievement.event_id);
    ensure!(achievement.achieved_at == exit.trigger_event_time, "achieved at {}", achievement.achieved_at);
    let purchase = expected.purchases.get(&exit.trigger_event_id).context("no such purchase was sent")?;
    ensure!(exit.contact_id.as_str() == purchase.customer, "contact {}", exit.contact_id);
    ensure!(exit.trigger_event_name == "payment.completed", "event {}", exit.trigger_event_name);
    let at = purchase.date.midnight().assume_utc();
    ensure!(exit.trigger_event_time == at, "event time {}", exit.trigger_event_time);
    let amount = exit.trigger_event.get("amount").and_then(|amount| amount.number_text());
    ensure!(amount == Some(&purchase.amount), "amount {amount:?}, sent as {}", purchase.amount);
    let seconds = (at - exit.enrolled_at).whole_seconds();
    ensure!(exit.seconds_to_goal == seconds, "{} seconds to goal", exit.seconds_to_goal);
    Ok(())
}
