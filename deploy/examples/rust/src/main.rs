//! Writes down every exit by a goal, once: `AMQP_URL=amqp://… goalpost-example-exits exits.jsonl`.
//!
//! A consumer of Goalpost's facts, to be copied. Where it appends to a file, your own transaction goes: the effect, and the id of
//! the fact that had it. It ends when its connection does; whoever runs it starts it again, and nothing is missed: the queue keeps
//! what was not acknowledged.

use std::collections::HashSet;
use std::fs::{File, OpenOptions};
use std::io::{BufRead as _, BufReader, Write as _};

use anyhow::Context as _;
use futures_util::StreamExt as _;
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicQosOptions, BasicRejectOptions, QueueBindOptions, QueueDeclareOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Channel, Connection, ConnectionProperties};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

const EXCHANGE: &str = "goalpost.workflow";
const FACT: &str = "workflow.exit.goal";
const QUEUE: &str = "crm.exits";

/// A CloudEvent, as far as it is looked at. Members that are not named here are passed over: a version gets more of them.
#[derive(Deserialize)]
struct Fact {
    /// The same for the same fact, however often it comes.
    id: String,
    data: Exit,
}

/// What the line of an exit says.
#[derive(Serialize, Deserialize)]
struct Exit {
    enrollment_id: String,
    enrollment_version: i64,
    workflow_id: String,
    contact_id: String,
    goal_type: String,
    exited_at: String,
    /// Kept as text: an amount has the digits it was sent with, and a float would not.
    trigger_event: Box<RawValue>,
}

#[derive(Serialize, Deserialize)]
struct Line {
    fact: String,
    exit: Exit,
}

/// The file, and the facts that are in it.
struct Journal {
    file: File,
    written: HashSet<String>,
}

impl Journal {
    fn open(path: &str) -> anyhow::Result<Self> {
        let file = OpenOptions::new().create(true).read(true).append(true).open(path)?;
        let mut written = HashSet::new();
        for line in BufReader::new(&file).lines() {
            written.insert(serde_json::from_str::<Line>(&line?)?.fact);
        }
        Ok(Self { file, written })
    }

    /// On the disk when it returns; a fact that is there already is not written again.
    fn write(&mut self, fact: Fact) -> anyhow::Result<()> {
        if self.written.contains(&fact.id) {
            return Ok(());
        }
        let line = Line { fact: fact.id, exit: fact.data };
        self.file.write_all(format!("{}\n", serde_json::to_string(&line)?).as_bytes())?;
        self.file.sync_data()?;
        self.written.insert(line.fact);
        Ok(())
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let path = std::env::args().nth(1).context("the file to write to is missing")?;
    let mut journal = Journal::open(&path)?;
    let url = std::env::var("AMQP_URL").context("AMQP_URL is missing")?;
    let connection = Connection::connect(&url, ConnectionProperties::default()).await?;
    let channel = connection.create_channel().await?;
    queue(&channel).await?;
    let mut deliveries =
        channel.basic_consume(QUEUE.into(), "".into(), BasicConsumeOptions::default(), FieldTable::default()).await?;
    while let Some(delivery) = deliveries.next().await {
        let delivery = delivery?;
        match serde_json::from_slice::<Fact>(&delivery.data) {
            Ok(fact) => {
                journal.write(fact)?;
                // Only now: what was not acknowledged comes again.
                delivery.ack(BasicAckOptions::default()).await?;
            }
            Err(error) => {
                // Not what was agreed: it will not get better, and must not hold up the others.
                eprintln!("laid aside: {error}");
                delivery.reject(BasicRejectOptions { requeue: false }).await?;
            }
        }
    }
    anyhow::bail!("the connection has ended")
}

/// A queue of one's own keeps everything while one is away. What kills its consumer again and again is laid aside after 20 times.
async fn queue(channel: &Channel) -> lapin::Result<()> {
    let mut arguments = FieldTable::default();
    arguments.insert("x-queue-type".into(), AMQPValue::LongString("quorum".into()));
    arguments.insert("x-delivery-limit".into(), AMQPValue::LongInt(20));
    let durable = QueueDeclareOptions { durable: true, ..Default::default() };
    channel.queue_declare(QUEUE.into(), durable, arguments).await?;
    channel
        .queue_bind(QUEUE.into(), EXCHANGE.into(), FACT.into(), QueueBindOptions::default(), FieldTable::default())
        .await?;
    channel.basic_qos(20, BasicQosOptions::default()).await
}
