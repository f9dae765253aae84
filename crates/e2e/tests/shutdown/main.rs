//! SIGTERM under load: two replicas of every service behind a balancer that goes by readiness, and again and again one of them is
//! asked to end. No request fails, nothing is lost, and each ends by itself inside its time.
//!
//! `make test` takes a few rounds; `GOALPOST_CHAOS=sweep` takes 50 of every service, `SHUTDOWNS` another number.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::disallowed_methods, reason = "tests")]

mod balancer;
mod load;
mod place;
mod replica;
mod roll;

use std::sync::Arc;

use balancer::Balancer;
use futures_util::future::join_all;
use load::Load;
use place::{Place, SERVICES};

const SAMPLE: u32 = 2;
const SWEEP: u32 = 50;

fn rounds() -> u32 {
    let named = |name: &str| std::env::var(name).ok().filter(|text| !text.is_empty());
    let is_sweep = named("GOALPOST_CHAOS").is_some_and(|what| what == "sweep");
    named("SHUTDOWNS").map_or(if is_sweep { SWEEP } else { SAMPLE }, |text| text.parse().unwrap())
}

/// All services at once, so that what one of them does when it ends meets another that ends as well.
#[tokio::test(flavor = "multi_thread")]
async fn replicas_that_are_asked_to_end_fail_no_request_and_lose_nothing() {
    let place = Place::new().await;
    let balancers = SERVICES.map(|service| Arc::new(Balancer::of(service)));
    let mut pairs = join_all(balancers.iter().map(|balancer| roll::start(&place, Arc::clone(balancer)))).await;
    let load = Load::start(&place, &balancers).await;

    let rounds = rounds();
    let rolled = join_all(pairs.iter_mut().map(|pair| pair.roll(&place, rounds))).await;
    let ledger = load.stop().await;
    place.settled(&ledger).await;

    for (balancer, rolled) in balancers.iter().zip(&rolled) {
        println!("{}", balancer.told(rolled));
    }
    for pair in &mut pairs {
        pair.end().await;
    }
    let failed: Vec<String> = balancers.iter().flat_map(|balancer| balancer.failed()).collect();
    assert!(
        failed.is_empty(),
        "{} requests failed, as in:\n{}",
        failed.len(),
        failed[..failed.len().min(20)].join("\n")
    );
    place.check(&ledger).await;
}
