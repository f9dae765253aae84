//! What a running Goalpost publishes and answers is what the published contract says: every message of a run through all that
//! publishes, against its schema; every operation under every kind of credential, against the OpenAPI document, and once
//! with another tenant's ids and once with ids that nobody has.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::disallowed_methods, reason = "tests")]

#[path = "../dev/mod.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod dev;
mod foreign;
mod messages;
mod operations;
mod provider;
mod rows;
mod slots;
mod told;
mod work;
mod world;

use dev::Dev;
use provider::Provider;

#[tokio::test(flavor = "multi_thread")]
async fn what_runs_is_as_published() {
    let provider = Provider::start().await;
    let settings = provider.settings();
    let settings: Vec<(&str, &str)> = settings.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let dev = Dev::start(&settings);
    messages::every_message_is_as_its_schema_says(&dev).await;
    operations::every_operation_is_as_its_document_says(&dev, &provider).await;
    foreign::another_tenants_ids_are_unknown_ones(&dev, &provider).await;
}
