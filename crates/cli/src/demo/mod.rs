//! `goalpost demo`: a real workload through the real services, and what came out beside what must come out.

mod exits;
mod figures;
mod purchases;
mod report;
mod send;
mod workload;

use anyhow::Context as _;
use std::cell::RefCell;
use std::path::PathBuf;
use std::process::ExitCode;

use bus::Subscription;
use devstack::{Options, Signals};
use uuid::Uuid;

use crate::dev::{self, Running};
use exits::{Exits, Expected};
use figures::{Figure, Observed, compare};
use load::finish::Servers;
use load::place::Place;
use load::progress::{Phase, Progress};
use purchases::Purchase;
use report::{Messages, Report, Timing};
use workload::{Pass, Workload, finish};

/// Starts everything in a temporary place, sends 69,659 real purchases of 23,570 customers, and
/// compares what came out with figures that were computed without Goalpost. Exits with 0 only if
/// all are equal.
#[derive(clap::Args)]
pub struct Args {
    /// Send the purchases before the customers are enrolled
    #[arg(long)]
    events_first: bool,
    /// How often everything is sent again, which must change nothing
    #[arg(long, default_value_t = 1, value_name = "N")]
    replays: u32,
    /// Alter one purchase, so that the figures differ and the exit code is not 0
    #[arg(long)]
    spoil: bool,
    /// Write the different workflow.exit.goal messages to a file, one in a line
    #[arg(long, value_name = "FILE")]
    exits: Option<PathBuf>,
    /// Print the report as JSON
    #[arg(long)]
    json: bool,
    /// Use the `goalpost dev` that wrote this dev.json, in a new tenant
    #[arg(long, value_name = "DEV_JSON")]
    on: Option<PathBuf>,
}

pub fn main(args: &Args) -> anyhow::Result<ExitCode> {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_target(false)
        .with_env_filter("goalpost_devstack=warn")
        .init();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(run(args))
}

async fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let mut signals = Signals::listen()?;
    if let Some(path) = &args.on {
        let place = Place::read(path)?;
        return tokio::select! {
            report = work(&place, args, Vec::new()) => tell(&report?, args),
            code = signals.next() => Ok(code.into()),
        };
    }
    let starting = Progress::waiting("starting everything");
    // Not where a `goalpost dev` of this directory has its dev.json.
    let home = std::env::temp_dir().join(format!("goalpost-demo-{}", Uuid::now_v7().simple()));
    let options = Options::ephemeral(home).with_servers_of_environment();
    let Running { stack, place } = tokio::select! {
        started = dev::up(options) => started?,
        code = signals.next() => return Ok(code.into()),
    };
    let started = starting.done();
    let work = async { work(&Place::of(&place)?, args, vec![started]).await };
    let outcome = tokio::select! {
        report = work => report.and_then(|report| tell(&report, args)),
        failure = stack.failed() => Err(anyhow::Error::msg(failure)),
        code = signals.next() => Ok(code.into()),
    };
    stack.stop().await?;
    outcome
}

fn tell(report: &Report, args: &Args) -> anyhow::Result<ExitCode> {
    if args.json {
        println!("{}", serde_json::to_string_pretty(report)?);
    } else {
        report.print();
    }
    Ok(if report.holds { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The whole demo on services that run.
async fn work(place: &Place, args: &Args, mut phases: Vec<Phase>) -> anyhow::Result<Report> {
    let mut purchases = purchases::read()?;
    let spoilt = if args.spoil { Some(purchases::spoil(&mut purchases)?) } else { None };
    let database = crate::database::connect(&place.database_url).await?;
    let servers = Servers { database: &database, management_url: place.management_url()?, vhost: place.vhost()? };
    let mut subscription = exits::subscribe(&place.amqp_url).await?;
    let workload = Workload::configure(place).await?;
    workload.activate().await?;

    let exits = RefCell::new(Exits::default());
    let run = Run { args, workload: &workload, purchases: &purchases, servers, exits: &exits };
    let expected = Expected {
        tenant: &workload.tenant,
        workflow: workload.workflow,
        purchases: purchases.iter().map(|purchase| (purchase.event_id(), purchase)).collect(),
    };
    let (figures, events_per_second) = tokio::select! {
        biased;
        lost = listen(&mut subscription, &exits, &expected) => return Err(lost),
        figures = run.all(&mut phases) => figures?,
    };
    let exits = exits.borrow();
    if let Some(path) = &args.exits {
        std::fs::write(path, exits.lines()).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(Report {
        holds: figures.iter().all(|figure| figure.holds),
        tenant_id: workload.tenant.clone(),
        workflow_id: workload.workflow,
        spoilt,
        figures,
        exit_messages: Messages { received: exits.received, repeats: exits.repeats(), faults: exits.faults.clone() },
        phases: phases.iter().map(Timing::from).collect(),
        events_per_second,
    })
}

/// Takes what the subscriber gets; ends only when its connection does.
async fn listen(subscription: &mut Subscription, exits: &RefCell<Exits>, expected: &Expected<'_>) -> anyhow::Error {
    while let Some(message) = subscription.next().await {
        exits.borrow_mut().take(message, expected);
    }
    anyhow::anyhow!("the subscriber of workflow.exit.goal lost its connection: run the demo again")
}

/// Everything a run needs.
struct Run<'a> {
    args: &'a Args,
    workload: &'a Workload,
    purchases: &'a [Purchase],
    servers: Servers<'a>,
    exits: &'a RefCell<Exits>,
}

impl Run<'_> {
    /// The file once, and again as often as was asked for; then the figures, and how many events a
    /// second the first pass took.
    async fn all(&self, phases: &mut Vec<Phase>) -> anyhow::Result<(Vec<Figure>, f64)> {
        let (first, rate) = self.pass(0, phases).await?;
        let mut replays = Vec::new();
        for number in 1..=self.args.replays {
            let (again, _) = self.pass(number, phases).await?;
            replays.push(again);
        }
        let asking = Progress::waiting("asking for the figures");
        let (statistics, achievements) = (self.workload.statistics().await?, self.workload.achievements().await?);
        phases.push(asking.done());
        let observed = Observed {
            purchases: self.purchases,
            first,
            replays,
            statistics,
            achievements,
            exits: &self.exits.borrow(),
        };
        Ok((compare(&observed), rate))
    }

    /// Sends everything once and waits until it is worked off.
    async fn pass(&self, replay: u32, phases: &mut Vec<Phase>) -> anyhow::Result<(Pass, f64)> {
        let pass = self.workload.pass(replay, self.purchases, self.args.events_first).await?;
        let waiting = send::part(replay, "waiting until everything is judged");
        let waited = finish(&waiting, &self.servers, self.exits).await?;
        let took = pass.sending.took + waited.took;
        phases.extend(pass.phases(self.args.events_first).into_iter().cloned());
        phases.push(waited);
        #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
        let rate = self.purchases.len() as f64 / took.as_secs_f64();
        Ok((pass, rate))
    }
}
