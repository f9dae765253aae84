//! What is declared is what every broker from 3.10 to 4.x takes, and nothing else.

use goalpost_bus::{Queue, Subscription};
use serde_json::Value;

use crate::support::{DOMAIN, Site, WORKFLOW, body, message};

/// Asks the management API about this test's vhost.
#[expect(clippy::disallowed_methods, reason = "tests are told where their servers are this way")]
async fn ask(site: &Site, what: &str) -> Vec<Value> {
    let base = std::env::var("AMQP_MANAGEMENT_URL").unwrap();
    let url = format!("{base}/api/{what}/{}", site.vhost.name());
    let answer = reqwest::get(url).await.unwrap().error_for_status().unwrap();
    answer.json::<Vec<Value>>().await.unwrap()
}

#[tokio::test]
async fn every_queue_is_durable_and_of_the_quorum_type_with_a_limit() {
    let mut site = Site::up(&Queue::ALL).await;
    let queues = ask(&site, "queues").await;
    assert_eq!(queues.len(), 2 * Queue::ALL.len());
    for queue in &queues {
        let name = queue["name"].as_str().unwrap();
        let arguments = &queue["arguments"];
        assert_eq!(queue["durable"], true, "{name}");
        assert_eq!(queue["auto_delete"], false, "{name}");
        assert_eq!(queue["exclusive"], false, "{name}");
        assert_eq!(arguments["x-queue-type"], "quorum", "{name}");
        assert!(arguments["x-max-length"].is_null() && arguments["x-max-length-bytes"].is_null());
        if name.ends_with(".dead") {
            assert!(arguments["x-delivery-limit"].as_i64().unwrap() > 1_000_000);
        } else {
            assert_eq!(arguments["x-delivery-limit"], 20, "{name}");
            assert_eq!(arguments["x-dead-letter-exchange"], "goalpost.dead", "{name}");
            assert_eq!(arguments["x-dead-letter-routing-key"], name);
            assert_eq!(arguments["x-dead-letter-strategy"], "at-least-once", "{name}");
        }
    }
    let exchanges = ask(&site, "exchanges").await;
    let ours = exchanges.iter().filter(|e| e["name"].as_str().unwrap().starts_with("goalpost."));
    assert_eq!(ours.inspect(|exchange| assert_eq!(exchange["durable"], true)).count(), 5);
    site.stop().await;
}

#[tokio::test]
async fn the_domain_queue_is_bound_to_the_names_in_the_settings() {
    let names = ["payment.completed".to_owned(), "deal.#".to_owned()];
    let wanted = names.clone();
    let mut site = Site::with(&[Queue::IngestDomain], |settings| {
        settings.domain_event_names = wanted.to_vec();
    })
    .await;
    let bindings = ask(&site, "bindings").await;
    let mut keys: Vec<&str> = bindings
        .iter()
        .filter(|binding| binding["source"] == DOMAIN)
        .map(|binding| binding["routing_key"].as_str().unwrap())
        .collect();
    keys.sort_unstable();
    assert_eq!(keys, ["deal.#", "payment.completed"]);
    site.stop().await;
}

#[tokio::test]
async fn a_subscription_sees_what_is_published_after_it_was_opened() {
    let mut site = Site::up(&[]).await;
    let mut seen = Subscription::open(site.vhost.amqp_url(), WORKFLOW, "workflow.#").await.unwrap();
    site.publish(vec![message(WORKFLOW, "goal.achieved", "not this"), message(WORKFLOW, "workflow.exit.goal", "this")])
        .await;
    let message = seen.next().await.unwrap();
    assert_eq!((body(&message).as_str(), message.routing_key.as_str()), ("this", "workflow.exit.goal"));
    site.stop().await;
}

/// 4.3 refuses transient queues that are not exclusive, and a prefetch for a whole channel; 3.10
/// takes both, so the tests would not notice.
#[test]
fn nothing_is_declared_that_newer_brokers_refuse() {
    let sources = walkdir::WalkDir::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src"));
    let mut options = Vec::new();
    for entry in sources.into_iter().map(Result::unwrap).filter(|e| e.file_type().is_file()) {
        let text = std::fs::read_to_string(entry.path()).unwrap();
        assert!(!text.contains("global: true"), "{}", entry.path().display());
        let flat = text.split_whitespace().collect::<Vec<_>>().join(" ");
        let declared =
            flat.match_indices("QueueDeclareOptions {").map(|(at, _)| flat[at..].split_once('}').unwrap().0.to_owned());
        options.extend(declared);
    }
    assert!(options.len() >= 2, "the search finds nothing any more");
    for option in options {
        // A passive one declares nothing: it only asks.
        let is_taken = ["durable: true", "exclusive: true", "passive: true"].iter().any(|taken| option.contains(taken));
        assert!(is_taken, "{option}");
    }
}
