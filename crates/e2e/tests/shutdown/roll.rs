//! The two replicas of one service, ended and started again in turn: a rolling restart without an end.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::balancer::Balancer;
use crate::place::Place;
use crate::replica::Replica;

const READY_LIMIT: Duration = Duration::from_secs(60);

pub struct Pair {
    balancer: Arc<Balancer>,
    replicas: [Replica; 2],
}

/// Starts both and waits until they are ready.
pub async fn start(place: &Place, balancer: Arc<Balancer>) -> Pair {
    let service = balancer.service;
    let (first, second) = (format!("{service}-0-0"), format!("{service}-1-0"));
    let (first, second) = tokio::join!(Replica::start(place, service, &first), Replica::start(place, service, &second));
    let pair = Pair { balancer, replicas: [first, second] };
    for (place, replica) in pair.replicas.iter().enumerate() {
        pair.balancer.place(place, &replica.endpoint);
    }
    pair.ready().await;
    pair
}

impl Pair {
    async fn ready(&self) {
        let limit = Instant::now() + READY_LIMIT;
        while !self.replicas.iter().all(|replica| replica.endpoint.is_ready()) {
            assert!(Instant::now() < limit, "the replicas of {} are not ready", self.balancer.service);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Ends one, starts it again, waits until both are ready, and takes the other. How long each took to end.
    pub async fn roll(&mut self, place: &Place, rounds: u32) -> Vec<Duration> {
        let mut ended = Vec::new();
        for round in 1..=rounds {
            let which = usize::from(round % 2 == 0);
            ended.push(self.replicas[which].terminate().await);
            let service = self.balancer.service;
            self.replicas[which] = Replica::start(place, service, &format!("{service}-{which}-{round}")).await;
            self.balancer.place(which, &self.replicas[which].endpoint);
            self.ready().await;
        }
        ended
    }

    /// Ends both at once, while nothing is asked of them.
    pub async fn end(&mut self) {
        let [first, second] = &mut self.replicas;
        tokio::join!(first.terminate(), second.terminate());
    }
}
