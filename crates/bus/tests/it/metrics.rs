//! What is counted is what happened.

use goalpost_bus::{Action, Queue};
use opentelemetry_sdk::metrics::SdkMeterProvider;

use crate::support::{COMMANDS, Script, Site, body, message};

#[tokio::test]
async fn every_fate_of_a_message_is_counted() {
    let registry = prometheus::Registry::new();
    let exporter = opentelemetry_prometheus::exporter().with_registry(registry.clone()).build();
    let provider = SdkMeterProvider::builder().with_reader(exporter.unwrap()).build();
    opentelemetry::global::set_meter_provider(provider);

    let mut site = Site::up(&[Queue::EvaluatorCommands]).await;
    let handler = Script::each(|message| match body(message).as_str() {
        "bad" => Action::DeadLetter { code: "malformed", cause: String::new() },
        _ => Action::Ack,
    });
    site.publish(vec![
        message(COMMANDS, "enroll", "good"),
        message(COMMANDS, "enroll", "bad"),
        message(COMMANDS, "nobody_takes_this", ""),
        message("somebody.elses", "enroll", ""),
    ])
    .await;
    site.consume(Queue::EvaluatorCommands, 1, handler.clone());
    handler.saw(["good", "bad"]).await;
    assert!(value(&registry, "bus_connection_up", "publish") >= 1);
    site.stop().await;

    for (name, label, expected) in [
        ("bus_published_total", "goalpost.commands", 3),
        ("bus_confirmed_total", "goalpost.commands", 2),
        ("bus_returned_total", "goalpost.commands", 1),
        ("bus_refused_total", "somebody.elses", 1),
        ("bus_deliveries_total", "evaluator.commands", 2),
        ("bus_acks_total", "evaluator.commands", 2),
        ("bus_dead_letters_total", "malformed", 1),
    ] {
        // At least: other tests may run in this process.
        let found = value(&registry, name, label);
        assert!(found >= expected, "{name} of {label} is {found}");
    }
}

/// Of the first line with this name and label.
fn value(registry: &prometheus::Registry, name: &str, label: &str) -> u64 {
    let text = prometheus::TextEncoder::new().encode_to_string(&registry.gather());
    let text = text.unwrap();
    let named = |line: &&str| line.starts_with(&format!("{name}{{")) && line.contains(label);
    let line = text.lines().find(named);
    let line = line.unwrap_or_else(|| panic!("no {name} of {label} in\n{text}"));
    line.rsplit(' ').next().unwrap().parse().unwrap()
}
