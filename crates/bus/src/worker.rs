//! Settles messages that were taken from a queue: handler, dead letter, acknowledgement, in that
//! order, until each is settled or the consumer has to stop.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use domain::dead_letter::{DeadLetter, DeadLetters};
use futures_util::FutureExt;
use futures_util::future::try_join_all;
use lapin::Acker;
use lapin::message::Delivery;
use lapin::options::BasicAckOptions;

use crate::error::within;
use crate::message::{Action, Death, Handler, Message};
use crate::metrics::{In, Metrics};
use crate::patience::{Patience, Stop};
use crate::topology::DELIVERY_LIMIT;

/// Panics of one message, handled alone, before it is given up.
const PANICS: u32 = 3;

/// Longest text of a panic that is kept.
const MAX_CAUSE_CHARS: usize = 2_000;

/// What is done with the messages.
pub(crate) enum Work {
    /// They are handled.
    Handle(Arc<dyn Handler>),
    /// They are what the broker gave up; all become dead letters.
    Drain,
}

/// Messages that are handled in one call, in the order of their delivery.
#[derive(Default)]
pub(crate) struct Group {
    messages: Vec<Message>,
    receipts: Vec<Receipt>,
}

struct Receipt {
    acker: Acker,
    tag: u64,
    death: Option<Death>,
}

/// The number of the delivery up to which all of a channel's are settled; they count from 1.
#[derive(Default)]
pub(crate) struct Settled(u64);

impl Settled {
    /// Whether these deliveries, all of one group, are the next, with none between them.
    fn precedes(&self, group: &Group) -> bool {
        group.receipts.iter().zip(self.0 + 1..).all(|(receipt, tag)| receipt.tag == tag)
    }

    fn reach(&mut self, group: &Group) {
        self.0 = group.receipts.last().map_or(self.0, |last| last.tag);
    }
}

impl Group {
    pub(crate) fn add(&mut self, mut delivery: Delivery) {
        let death = Death::of(&delivery.properties);
        self.messages.push(Message::of(&mut delivery));
        self.receipts.push(Receipt { acker: delivery.acker, tag: delivery.delivery_tag, death });
    }

    /// Cuts a run of deliveries into groups of up to `max`. One that was with a consumer that did
    /// not finish is alone: it may be the reason.
    pub(crate) fn cut(deliveries: Vec<Delivery>, max: usize) -> Vec<Self> {
        let mut groups: Vec<Self> = Vec::new();
        for delivery in deliveries {
            match groups.last_mut() {
                Some(last) if !delivery.redelivered && last.takes_more(max) => last.add(delivery),
                _ => {
                    let mut group = Self::default();
                    group.add(delivery);
                    groups.push(group);
                }
            }
        }
        groups
    }

    fn takes_more(&self, max: usize) -> bool {
        self.messages.len() < max && !self.messages.iter().any(|message| message.redelivered)
    }
}

#[derive(Clone, Debug)]
enum Verdict {
    /// Handle it (again), alone.
    Open,
    Done,
    Dead {
        code: String,
        cause: String,
        attempts: u32,
    },
    Away(String),
    Panicked(String),
}

impl From<Action> for Verdict {
    fn from(action: Action) -> Self {
        match action {
            Action::Ack => Self::Done,
            Action::Retry(away) => Self::Away(away),
            Action::DeadLetter { code, cause } => Self::Dead { code: code.to_owned(), cause, attempts: 1 },
        }
    }
}

pub(crate) struct Worker {
    pub(crate) queue: String,
    pub(crate) work: Work,
    pub(crate) dead_letters: Arc<dyn DeadLetters>,
    pub(crate) call_timeout: Duration,
    pub(crate) metrics: Arc<Metrics>,
}

impl Worker {
    /// Settles every message of the group. Those that wait are given again alone and in order, and
    /// nothing behind them is begun before.
    pub(crate) async fn settle(
        &self,
        group: &Group,
        settled: &mut Settled,
        patience: &mut Patience<'_>,
    ) -> Result<(), Stop> {
        let whole = settled.precedes(group);
        let mut verdicts = self.ask(group, 0..group.messages.len()).await;
        for (index, verdict) in verdicts.iter_mut().enumerate() {
            // What broke a whole batch says nothing about its members yet.
            if group.messages.len() > 1 && matches!(verdict, Verdict::Panicked(_)) {
                *verdict = Verdict::Open;
            }
            if matches!(verdict, Verdict::Dead { .. }) && self.bury(group, index, verdict).await.is_ok() {
                *verdict = Verdict::Done;
            }
        }
        let done = verdicts.iter().zip(&group.receipts);
        let done: Vec<&Receipt> =
            done.filter(|(verdict, _)| matches!(verdict, Verdict::Done)).map(|(_, receipt)| receipt).collect();
        self.ack(&done, whole && done.len() == group.receipts.len(), patience).await?;
        for (index, verdict) in verdicts.into_iter().enumerate() {
            if !matches!(verdict, Verdict::Done) {
                self.insist(group, index, verdict, patience).await?;
            }
        }
        if whole {
            settled.reach(group);
        }
        Ok(())
    }

    /// Stays with one message until it is settled.
    async fn insist(
        &self,
        group: &Group,
        index: usize,
        mut verdict: Verdict,
        patience: &mut Patience<'_>,
    ) -> Result<(), Stop> {
        let mut panics = 0;
        loop {
            verdict = match verdict {
                Verdict::Done => return self.ack(&[&group.receipts[index]], false, patience).await,
                Verdict::Open => self.ask_one(group, index).await,
                Verdict::Away(away) => {
                    self.metrics.took(In::Retried, &self.queue);
                    patience.wait(&self.queue, &away).await?;
                    Verdict::Open
                }
                Verdict::Panicked(cause) => {
                    panics += 1;
                    if panics < PANICS {
                        Verdict::Open
                    } else {
                        Verdict::Dead { code: "panicked".to_owned(), cause, attempts: panics }
                    }
                }
                dead @ Verdict::Dead { .. } => match self.bury(group, index, &dead).await {
                    Ok(()) => Verdict::Done,
                    Err(away) => {
                        patience.wait(&self.queue, &away).await?;
                        dead
                    }
                },
            };
        }
    }

    async fn ask_one(&self, group: &Group, index: usize) -> Verdict {
        self.ask(group, index..index + 1).await.pop().unwrap_or(Verdict::Open)
    }

    async fn ask(&self, group: &Group, range: std::ops::Range<usize>) -> Vec<Verdict> {
        let handler = match &self.work {
            Work::Handle(handler) => handler,
            Work::Drain => return group.receipts[range].iter().map(given_up).collect(),
        };
        let messages = &group.messages[range];
        let handling = async {
            crash::point!("consumer.before_handling", &self.queue);
            for message in messages {
                crash::poison!(&message.body);
            }
            let actions = handler.handle(messages).await;
            crash::point!("consumer.after_handling", &self.queue);
            actions
        };
        let cause = match AssertUnwindSafe(handling).catch_unwind().await {
            Ok(actions) if actions.len() == messages.len() => {
                return actions.into_iter().map(Verdict::from).collect();
            }
            Ok(actions) => {
                format!("{} answers for {} messages", actions.len(), messages.len())
            }
            Err(panic) => text(panic.as_ref()),
        };
        self.metrics.took(In::Panicked, &self.queue);
        // Not the text: it may quote the message. It is kept with the dead letter.
        tracing::error!(queue = self.queue, messages = messages.len(), "a handler panicked");
        vec![Verdict::Panicked(cause); messages.len()]
    }

    /// Stores a dead letter. The error says what was away.
    async fn bury(&self, group: &Group, index: usize, verdict: &Verdict) -> Result<(), String> {
        let Verdict::Dead { code, cause, attempts } = verdict else {
            return Ok(());
        };
        let message = &group.messages[index];
        let mut letter = message.letter(&self.queue, code, cause, *attempts);
        if let (Work::Drain, Some(death)) = (&self.work, &group.receipts[index].death) {
            rename(&mut letter, death);
        }
        let queue = letter.queue.clone();
        crash::point!("dead_letter.before_store", &queue);
        self.dead_letters.store(letter).await.map_err(|error| {
            let error: &dyn std::error::Error = error.as_ref();
            format!("dead letters cannot be stored: {error}")
        })?;
        crash::point!("dead_letter.after_store", &queue);
        self.metrics.dead_letter(&queue, code);
        let message_id = message.message_id.map(tracing::field::display);
        tracing::warn!(queue, code, message_id, "a message was given up");
        Ok(())
    }

    /// Acknowledges each by itself: one answer for all up to a delivery would cover those that are
    /// kept back from their neighbours too. That one is given where none is kept back (`whole`): it
    /// costs the broker as much as any of the others.
    async fn ack(&self, receipts: &[&Receipt], whole: bool, patience: &mut Patience<'_>) -> Result<(), Stop> {
        let Some(last) = receipts.len().checked_sub(1) else {
            return Ok(());
        };
        let one = |receipt: &&Receipt| {
            let acker = receipt.acker.clone();
            async move { acker.ack(BasicAckOptions { multiple: whole }).await }
        };
        let all = try_join_all(receipts[if whole { last } else { 0 }..].iter().map(one));
        let sent = within(self.call_timeout, "basic.ack", all).await;
        // `false` is no error of the acknowledgement: the channel is gone, expect the message again.
        if !sent.map_err(Stop::broken)?.into_iter().all(|sent| sent) {
            return Err(Stop::Broken("the channel ended".to_owned()));
        }
        crash::point!("consumer.after_ack", &self.queue);
        for _ in receipts {
            self.metrics.took(In::Acked, &self.queue);
        }
        patience.renew(&self.queue);
        Ok(())
    }
}

fn given_up(receipt: &Receipt) -> Verdict {
    let reason = receipt.death.as_ref().map_or("unknown", |death| death.reason.as_str());
    let cause = format!("the broker gave it up ({reason})");
    // The broker does not pass its count on.
    let attempts = match reason {
        "delivery_limit" => DELIVERY_LIMIT + 1,
        _ => 1,
    };
    Verdict::Dead { code: reason.to_owned(), cause, attempts }
}

/// A drained letter speaks of the queue the message died in, not of the one it was found in.
fn rename(letter: &mut DeadLetter, death: &Death) {
    letter.queue.clone_from(&death.queue);
    if let Some(key) = &death.routing_key {
        letter.routing_key.clone_from(key);
    }
}

fn text(panic: &(dyn Any + Send)) -> String {
    let text = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("a panic without a text");
    text.chars().take(MAX_CAUSE_CHARS).collect()
}
