//! Looks on at an exchange: for the demo, tests and tools. Nothing is kept while nobody looks.

use futures_util::StreamExt;
use lapin::options::{BasicConsumeOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::{FieldTable, ShortString};
use tokio::runtime::Handle;

use crate::dial::{Dialled, dial};
use crate::error::{Error, within};
use crate::message::Message;
use crate::settings::Settings;
use crate::topology::Wanted;

/// An exclusive queue of this process alone, gone with its connection.
pub struct Subscription {
    // Ends the connection, and the queue with it.
    _dialled: Dialled,
    queue: String,
    deliveries: lapin::Consumer,
}

impl Subscription {
    /// Connects, and binds a queue to `exchange` by `routing_key` (topic patterns allowed). What is
    /// published after this returns is seen.
    pub async fn open(url: &str, exchange: &str, routing_key: &str) -> Result<Self, Error> {
        let settings = Settings::new(url);
        let limit = settings.call_timeout();
        let short = |text: &str| {
            ShortString::try_new(text).map_err(|_| Error::Settings("a name of more than 255 bytes".to_owned()))
        };
        let dialled = dial(&settings, "subscription", Handle::current()).await?;
        let channel = within(limit, "channel.open", dialled.connection.create_channel()).await?;
        Wanted { queues: &[], domain_event_names: &[], limit }.declare(&channel).await?;
        let options = QueueDeclareOptions { exclusive: true, auto_delete: true, ..Default::default() };
        let declaring = channel.queue_declare("".into(), options, FieldTable::default());
        let queue = within(limit, "queue.declare", declaring).await?.name().clone();
        let binding = channel.queue_bind(
            queue.clone(),
            short(exchange)?,
            short(routing_key)?,
            QueueBindOptions::default(),
            FieldTable::default(),
        );
        within(limit, "queue.bind", binding).await?;
        let options = BasicConsumeOptions { no_ack: true, exclusive: true, ..Default::default() };
        let name = queue.to_string();
        let consuming = channel.basic_consume(queue, "".into(), options, FieldTable::default());
        let deliveries = within(limit, "basic.consume", consuming).await?;
        Ok(Self { _dialled: dialled, queue: name, deliveries })
    }

    /// The name of its queue: what is sent to it past every exchange, a reply, is seen too.
    pub fn queue(&self) -> &str {
        &self.queue
    }

    /// The next message; `None` when the connection has ended.
    pub async fn next(&mut self) -> Option<Message> {
        let mut delivery = self.deliveries.next().await?.ok()?;
        Some(Message::of(&mut delivery))
    }
}
