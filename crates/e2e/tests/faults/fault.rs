//! The faults: what is done to which process, and by what it is seen that the work goes on.

use std::time::{Duration, Instant};

use devstack::PostgresStop;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rand::RngExt;
use rand::rngs::StdRng;
use testkit::proxy::{self, Act, Frame, Rule};

use crate::cluster::Cluster;
use crate::{clock, crash, maintenance, meddler, versions};

/// How long a stopped broker stays away, a hung one hangs, a blocked one blocks.
const AWAY: Duration = Duration::from_secs(60);
const HUNG: Duration = Duration::from_secs(25);
const BLOCKED: Duration = Duration::from_secs(8);
/// For the message to come at which the connection is cut.
const CUT_LIMIT: Duration = Duration::from_secs(40);
/// For a message that ends processes to be given up: twenty deliveries, and as many starts.
const DEADLY_LIMIT: Duration = Duration::from_secs(180);
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
    /// Every session of the services is ended by the server.
    SessionsEnded,
    /// Every connection to the broker is closed by it.
    ConnectionsClosed,
    /// A connection of a replica of this service ends, or falls silent, at this message.
    Cut(&'static str, Boundary, Act),
    /// A replica of this service ends (or panics) at a named place in its code.
    Crash(&'static str, &'static str),
    /// A message that ends (or panics) whoever handles it.
    Deadly(&'static str),
    /// Messages of `evaluator.events` come up to five times and in another order.
    Shuffled,
    /// Messages that nobody can read.
    Poison,
    /// From here to the end every replica's clock is a day off.
    ClocksMoved,
    /// Maintenance takes away what is old.
    Maintained,
    /// Replicas of the version before beside those of this one: every second of each service, and at the next hit the others.
    Versions,
}

/// Where a connection is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Boundary {
    Commit,
    CommitAnswer,
    AnyOfPostgres,
    Confirm,
    Delivery,
    Acknowledgement,
    AnyOfRabbitmq,
}

impl Boundary {
    fn is_of_postgres(self) -> bool {
        matches!(self, Self::Commit | Self::CommitAnswer | Self::AnyOfPostgres)
    }

    fn rule(self, act: Act, rng: &mut StdRng) -> Rule {
        let (matches, most): (fn(&Frame<'_>) -> bool, u64) = match self {
            Self::Commit => (proxy::asks_to_commit, 6),
            Self::CommitAnswer => (proxy::has_committed, 6),
            Self::Confirm => (proxy::confirms, 6),
            Self::Delivery => (proxy::delivers, 6),
            Self::Acknowledgement => (proxy::acknowledges, 6),
            Self::AnyOfPostgres => (|_| true, 400),
            Self::AnyOfRabbitmq => (|_| true, 60),
        };
        Rule::new(act, matches).nth(rng.random_range(1..=most))
    }
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
    /// Over how many times the usual time the work is spread.
    pub slower: u32,
}

impl Scenario {
    pub fn is_proxied(&self) -> bool {
        matches!(self.fault, Fault::Cut(..))
    }
}

const fn of(name: &'static str, fault: Fault, hits: u32, is_sampled: bool) -> Scenario {
    Scenario { name, fault, hits, evaluators: 1, ingests: 1, is_sampled, slower: 1 }
}

/// A replica reaches its servers through a proxy, and some of its connections end there.
const fn cut(name: &'static str, service: &'static str, at: Boundary, act: Act, is_sampled: bool) -> Scenario {
    let hits = if matches!(act, Act::Silence) { 1 } else { 4 };
    of(name, Fault::Cut(service, at, act), hits, is_sampled)
}

/// Six places of one service in each run.
const fn crash(name: &'static str, service: &'static str, act: &'static str, is_sampled: bool) -> Scenario {
    Scenario { slower: 3, ..of(name, Fault::Crash(service, act), 6, is_sampled) }
}

/// All there are; those with more replicas come last, because replicas are only ever added.
pub const SCENARIOS: [Scenario; 48] = [
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
    of("sessions ended", Fault::SessionsEnded, 4, false),
    of("connections closed", Fault::ConnectionsClosed, 3, false),
    of("shuffled", Fault::Shuffled, 1, false),
    of("poison", Fault::Poison, 1, false),
    of("maintained", Fault::Maintained, 3, false),
    of("message that panics", Fault::Deadly("panic"), 1, false),
    of("message that ends processes", Fault::Deadly("abort"), 1, false),
    crash("ingest: crash points", "ingest", "abort", false),
    crash("ingest: panic points", "ingest", "panic", false),
    crash("evaluator: crash points", "evaluator", "abort", false),
    crash("evaluator: panic points", "evaluator", "panic", false),
    of("goals: crash points", Fault::Crash("goals", "abort"), 1, false),
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
    Scenario { evaluators: 3, ingests: 2, slower: 2, ..of("clocks a day off", Fault::ClocksMoved, 1, false) },
    Scenario { evaluators: 3, ingests: 2, slower: 6, ..of("version before beside", Fault::Versions, 2, false) },
    cut("ingest: commit answer lost", "ingest", Boundary::CommitAnswer, Act::CutBefore, true),
    cut("ingest: commit lost", "ingest", Boundary::Commit, Act::CutBefore, false),
    cut("ingest: commit answer hangs", "ingest", Boundary::CommitAnswer, Act::Silence, false),
    cut("ingest: postgres cut", "ingest", Boundary::AnyOfPostgres, Act::CutBefore, false),
    cut("ingest: postgres cut after", "ingest", Boundary::AnyOfPostgres, Act::CutAfter, false),
    cut("ingest: confirm lost", "ingest", Boundary::Confirm, Act::CutBefore, false),
    cut("ingest: confirm hangs", "ingest", Boundary::Confirm, Act::Silence, false),
    cut("ingest: broker cut", "ingest", Boundary::AnyOfRabbitmq, Act::CutBefore, false),
    cut("evaluator: commit answer lost", "evaluator", Boundary::CommitAnswer, Act::CutBefore, false),
    cut("evaluator: commit lost", "evaluator", Boundary::Commit, Act::CutBefore, false),
    cut("evaluator: commit answer hangs", "evaluator", Boundary::CommitAnswer, Act::Silence, false),
    cut("evaluator: postgres cut", "evaluator", Boundary::AnyOfPostgres, Act::CutBefore, false),
    cut("evaluator: confirm lost", "evaluator", Boundary::Confirm, Act::CutBefore, false),
    cut("evaluator: delivery lost", "evaluator", Boundary::Delivery, Act::CutBefore, false),
    cut("evaluator: ack lost", "evaluator", Boundary::Acknowledgement, Act::CutBefore, true),
    cut("evaluator: broker cut", "evaluator", Boundary::AnyOfRabbitmq, Act::CutBefore, false),
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
            Self::Signal("ingest", _) | Self::Cut("ingest", ..) | Self::Crash("ingest", _) => Sign::Stored,
            Self::Signal("goals" | "analytics", _) | Self::Crash("goals", _) => Sign::Ready,
            _ => Sign::Achieved,
        }
    }

    /// How many dead letters come of it.
    pub fn letters(self) -> usize {
        usize::from(matches!(self, Self::Deadly(_)))
    }

    /// Whether every run of it shows that something is delivered again. Other faults do so when they meet something under way.
    pub fn implies_redelivery(self) -> bool {
        matches!(self, Self::Shuffled | Self::Cut(_, Boundary::Confirm | Boundary::Acknowledgement, _))
    }

    /// Makes it happen to its end, and says when that was.
    /// `turn` counts the faults of all runs of one sweep.
    pub async fn inject(self, cluster: &mut Cluster, rng: &mut StdRng, turn: usize) -> Result<Instant, String> {
        let choice = rng.random_range(0..60);
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
            Self::SessionsEnded => {
                let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename LIKE 'goalpost%'";
                cluster.database().await.query(end, &[]).await.unwrap();
            }
            Self::ConnectionsClosed => {
                cluster.stack.rabbitmqctl(&["close_all_connections", "--vhost", "/", "a fault"]).await.unwrap();
            }
            Self::Cut(service, at, act) => {
                let name = nth(cluster, service, choice);
                let proxies = cluster.proxies(&name).unwrap();
                let proxy = if at.is_of_postgres() { &proxies.postgres } else { &proxies.rabbitmq };
                let rule = proxy.rule(at.rule(act, rng));
                let begin = Instant::now();
                while rule.acted() == 0 {
                    if begin.elapsed() > CUT_LIMIT {
                        proxy.pass();
                        return Err(format!("{at:?} never came at {name}: {} seen", rule.seen()));
                    }
                    tokio::time::sleep(Duration::from_millis(2)).await;
                }
                proxy.pass();
            }
            Self::Crash(service, act) => {
                let (point, hit) = crash::at_turn(service, turn);
                return crash::provoke(cluster, &nth(cluster, service, choice), point, hit, act).await;
            }
            Self::Deadly(act) => deadly(cluster, act).await?,
            Self::ClocksMoved => return clock::move_all(cluster, choice % 2 == 0).await,
            Self::Versions => return versions::mix(cluster, turn.is_multiple_of(2)).await,
            Self::Maintained => return maintenance::maintain(cluster).await,
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
        Ok(Instant::now())
    }
}

/// Sends a message that is deadly to evaluators, and waits until it has been given up.
async fn deadly(cluster: &Cluster, act: &str) -> Result<(), String> {
    const TEXT: &str = "deadly-to-evaluators";
    const LETTERS: &str = "SELECT count(*) FROM evaluator.dead_letters WHERE position($1::text::bytea IN payload) > 0";
    let letters = async || {
        let database = cluster.database().await;
        database.query_one(LETTERS, &[&TEXT]).await.unwrap().get::<_, i64>(0)
    };
    let before = letters().await;
    crash::poison(cluster, "evaluator", Some(&format!("{TEXT}={act}"))).await;
    let body = format!(r#"{{"version": 1, "tenant_id": "{TEXT}", "events": []}}"#);
    meddler::publish(cluster, "amq.default", "evaluator.events", &body).await;
    let begin = Instant::now();
    while letters().await == before {
        if begin.elapsed() > DEADLY_LIMIT {
            return Err(format!("I16: a message that makes processes {act} is not given up"));
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    crash::poison(cluster, "evaluator", None).await;
    Ok(())
}

fn nth(cluster: &Cluster, service: &str, choice: usize) -> String {
    let names: Vec<&String> = cluster.of(service).map(|replica| &replica.name).collect();
    names[choice % names.len()].clone()
}

fn resume(pid: u32) {
    kill(Pid::from_raw(pid.try_into().unwrap()), Signal::SIGCONT).unwrap();
}
