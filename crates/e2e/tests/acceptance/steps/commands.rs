//! What is asked for over the bus, and the replies on a queue of the asker's own.

use bus::Subscription;
use cucumber::{then, when};
use serde_json::{Value, json};
use std::time::Duration;
use uuid::Uuid;

use crate::covers::{json, says};
use crate::world::World;

/// Longest wait for a reply.
const LIMIT: Duration = Duration::from_secs(30);

/// Somebody who asks over the bus: the queue for the replies, what was asked last, and the last two replies.
#[derive(Default)]
pub struct Asker {
    replies: Option<Subscription>,
    asked: (String, Uuid, String),
    before: String,
    last: String,
}

impl std::fmt::Debug for Asker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?} was replied {}", self.asked, self.last)
    }
}

/// The tenant's; what enrolls does so in the workflow that is spoken of.
#[when(regex = r"^(\w+) (\{.*\}) is asked over the bus$")]
async fn is_asked(world: &mut World, command: String, body: String) {
    let mut body = json(&body);
    body["tenant_id"] = json!(world.tenant.id);
    if command == "enroll" {
        body["workflow_id"] = json!(world.speak_of("").id);
    }
    world.asker.asked = (command, Uuid::now_v7(), body.to_string());
    ask(world).await;
}

#[when(regex = r"^the same is asked again$")]
async fn is_asked_again(world: &mut World) {
    ask(world).await;
}

async fn ask(world: &mut World) {
    world.settle().await;
    let asker = &mut world.asker;
    let replies = match &mut asker.replies {
        Some(replies) => replies,
        none => none.insert(world.place.replies().await),
    };
    let (command, id, body) = &asker.asked;
    let properties = json!({"delivery_mode": 2, "content_type": "application/json", "message_id": id,
        "reply_to": replies.queue(), "correlation_id": "asked"});
    assert!(world.place.publish("goalpost.commands", command, body, properties).await, "nobody takes {command}");
    let reply = tokio::time::timeout(LIMIT, replies.next()).await;
    let reply = reply.unwrap_or_else(|_| panic!("{command} is not replied to: {body}")).unwrap();
    assert_eq!(reply.correlation_id.as_deref(), Some("asked"));
    asker.before = std::mem::replace(&mut asker.last, String::from_utf8(reply.body.to_vec()).unwrap());
    let reply: Value = serde_json::from_str(&asker.last).unwrap();
    if let ("enroll", Some(enrollment)) = (command.as_str(), reply["result"]["id"].as_str()) {
        let contact = json(body)["contact_id"].as_str().unwrap().to_owned();
        world.enrolled(&contact, enrollment.to_owned());
    }
    world.is_moving = true;
}

#[then(regex = r"^the reply is (done|refused): (.+)$")]
async fn reply_is(world: &mut World, status: String, what: String) {
    let reply = json(&world.asker.last);
    assert_eq!(reply["status"], status.as_str(), "{reply}");
    if status == "done" {
        says("the reply", &reply["result"], &what);
    } else {
        assert_eq!(reply["code"], what.as_str(), "{reply}");
    }
}

#[then(regex = r"^the reply is the same$")]
async fn reply_is_the_same(world: &mut World) {
    assert_eq!(world.asker.last, world.asker.before);
}
