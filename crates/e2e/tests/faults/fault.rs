//! The faults: what is done to which process, and by what it is seen that the work goes on.

use std::time::{Duration, Instant};

use devstack::PostgresStop;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::cluster::Cluster;

/// How long a stopped broker stays away, a hung one hangs, a blocked one blocks.
const AWAY: Duration = Duration::from_secs(60);
const HUNG: Duration = Duration::from_secs(25);
const BLOCKED: Duration = Duration::from_secs(8);
const FROZEN: Duration = Duration::from_secs(3);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    None,
    /// A replica of a service, chosen by the seed, gets this signal and is started again.
    Signal(&'static str, Signal),
    /// A replica stands still for a while.
    Freeze(&'static str),
    BrokerKilled,
    BrokerStopped,
    BrokerAway,
    BrokerBlocked,
    BrokerHung,
    PostgresFast,
    PostgresImmediate,
    /// Messages of `evaluator.events` come up to five times and in another order.
    Shuffled,
    /// Messages that nobody can read.
    Poison,
}

/// A fault as it is run.
#[derive(Clone, Copy, Debug)]
pub struct Scenario {
    pub name: &'static str,
    pub fault: Fault,
    /// How often in one run.
    pub hits: u32,
    /// Evaluators and ingests.
    pub evaluators: usize,
    pub ingests: usize,
    /// In `make test`.
    pub is_sampled: bool,
}

const fn of(name: &'static str, fault: Fault, hits: u32, is_sampled: bool) -> Scenario {
    Scenario { name, fault, hits, evaluators: 1, ingests: 1, is_sampled }
}

/// All there are; those with more replicas come last, because replicas are only ever added.
pub const SCENARIOS: [Scenario; 20] = [
    of("none", Fault::None, 0, false),
    of("evaluator killed", Fault::Signal("evaluator", Signal::SIGKILL), 3, true),
    of("evaluator terminated", Fault::Signal("evaluator", Signal::SIGTERM), 2, false),
    of("evaluator frozen", Fault::Freeze("evaluator"), 1, false),
    of("ingest killed", Fault::Signal("ingest", Signal::SIGKILL), 3, true),
    of("ingest terminated", Fault::Signal("ingest", Signal::SIGTERM), 2, false),
    of("goals killed", Fault::Signal("goals", Signal::SIGKILL), 2, false),
    of("analytics killed", Fault::Signal("analytics", Signal::SIGKILL), 2, false),
    of("broker killed", Fault::BrokerKilled, 1, true),
    of("broker stopped", Fault::BrokerStopped, 1, false),
    of("broker away 60 s", Fault::BrokerAway, 1, false),
    of("broker blocked", Fault::BrokerBlocked, 1, false),
    of("broker hung", Fault::BrokerHung, 1, false),
    of("postgres fast", Fault::PostgresFast, 1, true),
    of("postgres immediate", Fault::PostgresImmediate, 1, true),
    of("shuffled", Fault::Shuffled, 1, false),
    of("poison", Fault::Poison, 1, false),
    Scenario { evaluators: 2, ..of("two evaluators killed", Fault::Signal("evaluator", Signal::SIGKILL), 4, false) },
    Scenario {
        evaluators: 3,
        ingests: 2,
        ..of("three evaluators killed", Fault::Signal("evaluator", Signal::SIGKILL), 6, true)
    },
    Scenario {
        evaluators: 3,
        ingests: 2,
        ..of("two ingests killed", Fault::Signal("ingest", Signal::SIGKILL), 4, false)
    },
];

/// By what it is seen that the work goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sign {
    Stored,
    Achieved,
    /// The process answers that it is ready.
    Ready,
}

impl Fault {
    pub fn sign(self) -> Sign {
        match self {
            Self::Signal("ingest", _) => Sign::Stored,
            Self::Signal("goals" | "analytics", _) => Sign::Ready,
            _ => Sign::Achieved,
        }
    }

    /// Whether a run of it shows that something is delivered again.
    pub fn implies_redelivery(self) -> bool {
        match self {
            Self::None | Self::Freeze(_) | Self::Poison => false,
            Self::Signal(service, signal) => signal == Signal::SIGKILL && ["evaluator", "ingest"].contains(&service),
            _ => true,
        }
    }

    /// Makes it happen to its end, and says when that was. `choice` picks the replica.
    pub async fn inject(self, cluster: &mut Cluster, choice: usize) -> Instant {
        match self {
            Self::None | Self::Shuffled | Self::Poison => {}
            Self::Signal(service, signal) => {
                let name = nth(cluster, service, choice);
                cluster.signal(&name, signal).await;
            }
            Self::Freeze(service) => {
                let name = nth(cluster, service, choice);
                let pid = cluster.signal(&name, Signal::SIGSTOP).await;
                tokio::time::sleep(FROZEN).await;
                resume(pid);
            }
            Self::BrokerKilled | Self::BrokerStopped | Self::BrokerAway => {
                cluster.stack.stop_rabbitmq(self != Self::BrokerKilled).await.unwrap();
                if self == Self::BrokerAway {
                    tokio::time::sleep(AWAY).await;
                }
                cluster.stack.start_rabbitmq().await.unwrap();
            }
            Self::BrokerBlocked => {
                let limit = |bytes: &'static str| ["set_vm_memory_high_watermark", "absolute", bytes];
                cluster.stack.rabbitmqctl(&limit("1MB")).await.unwrap();
                tokio::time::sleep(BLOCKED).await;
                cluster.stack.rabbitmqctl(&limit("1GB")).await.unwrap();
            }
            Self::BrokerHung => {
                let pid = cluster.stack.rabbitmq_pid().unwrap();
                kill(Pid::from_raw(pid.try_into().unwrap()), Signal::SIGSTOP).unwrap();
                tokio::time::sleep(HUNG).await;
                resume(pid);
            }
            Self::PostgresFast => cluster.stack.restart_postgres(PostgresStop::Fast).await.unwrap(),
            Self::PostgresImmediate => cluster.stack.restart_postgres(PostgresStop::Immediate).await.unwrap(),
        }
        Instant::now()
    }
}

fn nth(cluster: &Cluster, service: &str, choice: usize) -> String {
    let names: Vec<&String> = cluster.of(service).map(|replica| &replica.name).collect();
    names[choice % names.len()].clone()
}

fn resume(pid: u32) {
    kill(Pid::from_raw(pid.try_into().unwrap()), Signal::SIGCONT).unwrap();
}
