//! Visitors who turn out to be contacts, and people who are to be forgotten.

use std::collections::BTreeMap;

use cucumber::{given, then, when};
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::covers::says;
use crate::installation::Answer;
use crate::world::{Said, World};

async fn identify(world: &mut World, user: &str, contact: &str) -> Answer {
    let body = json!({"user_id": user, "contact_id": contact}).to_string();
    world.is_moving = true;
    world.api(Method::POST, ("ingest", "/api/v1/identify"), Some(&body)).await
}

#[given(regex = r"^(\S+) is identified as (\S+)$")]
#[when(regex = r"^(\S+) is identified as (\S+)$")]
async fn is_identified(world: &mut World, user: String, contact: String) {
    let link = identify(world, &user, &contact).await.good();
    let expected = json!({"user_id": user, "contact_id": contact, "status": "linked"}).to_string();
    says("the link", &link, &expected);
}

#[then(regex = r"^identifying (\S+) as (\S+) is refused: (\d+) (.+)$")]
async fn not_identified(world: &mut World, user: String, contact: String, status: u16, why: String) {
    identify(world, &user, &contact).await.is_refused(status, &why);
}

#[when(regex = r"^the link of (\S+) is taken back$")]
async fn is_unlinked(world: &mut World, user: String) {
    let path = format!("/api/v1/identify/{user}");
    world.is_moving = true;
    let link = world.api(Method::DELETE, ("ingest", &path), None).await.good();
    assert!(link["status"] == "unlinked" && link["unlinked_at"].is_string(), "{link}");
    world.api(Method::DELETE, ("ingest", &path), None).await.is_refused(404, "not_found");
}

#[then(regex = r"^the bus was told (\d+) times? that (\S+) is (linked|unlinked)$")]
async fn was_told(world: &mut World, times: usize, user: String, change: String) {
    world.settle().await;
    let facts = world.place.all_facts("identity.linked").await;
    let of_user = |fact: &&Value| {
        let data = &fact["data"];
        data["tenant_id"] == world.tenant.id.as_str()
            && data["user_id"] == user.as_str()
            && data["change"] == change.as_str()
    };
    assert_eq!(facts.iter().filter(of_user).count(), times, "{facts:?}");
}

/// As another system tells it that knows no contact.
#[when(regex = r"^(\S+ \{.*\}) is told over the bus as a cloud event of nobody$")]
async fn is_told(world: &mut World, what: Said) {
    let data: Value = serde_json::from_str(&what.object).unwrap();
    let event = json!({"specversion": "1.0", "id": Uuid::now_v7(), "source": "/crm", "type": what.name, "time": world.next_time(),
        "tenantid": world.tenant.id, "data": data});
    world.is_moving = true;
    world.place.publish_event(&what.name, &event.to_string()).await;
}

/// Everything has to be done by the time of the answer.
#[when(regex = r"^(\S+) is forgotten$")]
async fn is_forgotten(world: &mut World, person: String) {
    world.settle().await;
    let path = format!("/api/v1/users/{person}/erase");
    world.is_moving = true;
    let answer = world.api(Method::POST, ("ingest", &path), None).await;
    assert_eq!((answer.status, &answer.body["status"]), (200, &json!("done")), "{} {}", answer.what, answer.text);
    let receipt = format!("/api/v1/erasures/{}", answer.body["request_id"].as_str().unwrap());
    assert_eq!(world.api(Method::GET, ("ingest", &receipt), None).await.good(), answer.body);
    world.answer = Some(answer);
}

/// The counts of services.
#[then(regex = r"^the receipt says (\{.*\})$")]
async fn receipt_says(world: &mut World, expected: String) {
    let receipt = &world.answer.as_ref().unwrap().body;
    let counts = receipt["services"].as_object().unwrap().iter();
    let counts: Value = counts.map(|(service, report)| (service.clone(), report["counts"].clone())).collect();
    says("the receipt", &counts, &expected);
}

#[then(regex = r"^the receipt is not there$")]
async fn receipt_is_not_there(world: &mut World) {
    let receipt = world.answer.as_ref().unwrap().body["request_id"].as_str().unwrap().to_owned();
    let answer = world.api(Method::GET, ("ingest", &format!("/api/v1/erasures/{receipt}")), None).await;
    answer.is_refused(404, "not_found");
}

/// By kind, page by page.
#[then(regex = r"^what is kept of (\S+) is (.+)$")]
async fn is_kept(world: &mut World, person: String, expected: String) {
    world.settle().await;
    let mut kinds: BTreeMap<String, usize> = BTreeMap::new();
    let (mut cursor, mut last) = (String::new(), String::from("~"));
    loop {
        let path = format!("/api/v1/users/{person}/export?limit=2&cursor={cursor}");
        let page = world.api(Method::POST, ("ingest", &path), None).await.good();
        for item in page["items"].as_array().unwrap() {
            let (kind, at) = (item["kind"].as_str().unwrap(), item["at"].as_str().unwrap());
            assert!(at <= last.as_str(), "latest first: {page}");
            at.clone_into(&mut last);
            *kinds.entry(kind.to_owned()).or_default() += 1;
        }
        match page["next_cursor"].as_str() {
            Some(next) => next.clone_into(&mut cursor),
            None => break,
        }
    }
    let kept: Vec<String> = kinds.into_iter().map(|(kind, count)| format!("{count} {kind}")).collect();
    assert_eq!(kept.join(", "), expected);
}

/// No column of any table of any schema has any of these in a row of the tenant, as text or as bytes.
#[then(regex = r"^nothing is kept of (.+)$")]
async fn nothing_is_kept(world: &mut World, people: String) {
    world.settle().await;
    for person in people.split(", ") {
        let kept = world.place.rows_with(&world.tenant.id, person).await;
        assert_eq!(kept, Vec::<String>::new(), "what is kept of {person}");
    }
}
