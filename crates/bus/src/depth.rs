//! How many messages wait in a queue, as the broker counts them.

use lapin::options::QueueDeclareOptions;
use lapin::types::FieldTable;

use crate::error::{Error, within};
use crate::link::current;
use crate::{Bus, Queue};

impl Bus {
    /// Messages in a queue of this service that no consumer has: those delivered and not yet acknowledged are not among them.
    ///
    /// # Errors
    /// The broker is away or does not answer.
    pub async fn ready_messages(&self, queue: Queue) -> Result<u32, Error> {
        let live = current(&self.consume.subscribe()).ok_or(Error::Down)?;
        let limit = self.settings.call_timeout();
        let channel = live.channel().await?;
        let options = QueueDeclareOptions { passive: true, ..Default::default() };
        let asking = channel.queue_declare(queue.name().into(), options, FieldTable::default());
        let messages = within(limit, "queue.declare", asking).await?.message_count();
        within(limit, "channel.close", channel.close(200, "OK".into())).await?;
        Ok(messages)
    }
}
