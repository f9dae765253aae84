//! `goalpost load`: events at a rate, what became of them, and how fast.

mod report;

use std::cell::RefCell;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use ::load::clock::Clock;
use ::load::exits::{Exits, subscribe};
use ::load::finish::Servers;
use ::load::generator::{Load, Pace, Sending, send};
use ::load::mix::Mix;
use ::load::place::Place;
use ::load::progress::Progress;
use ::load::scenario::{Contents, PPM, Scenario};
use ::load::setup;
use anyhow::{Context, ensure};
use bus::Subscription;

use crate::database::DEV_JSON;
use report::Report;

/// Sends events at a fixed rate: each request has a time at which it leaves, whatever became of those before, and
/// latency is counted from that time. In a running `goalpost dev` it makes tenants of its own, with workflows, goals and enrolled
/// contacts for the events to match; with --url it only sends.
#[derive(clap::Args)]
pub struct Args {
    /// Events a second; 0: each connection sends again when it has its answer
    #[arg(long, default_value_t = 1_000.0)]
    rate: f64,
    /// How long
    #[arg(long, default_value_t = 10.0)]
    seconds: f64,
    /// Events of one request, at most 500
    #[arg(long, default_value_t = 100)]
    batch: u64,
    /// Connections; a request that finds none free waits, and its latency with it
    #[arg(long, default_value_t = 16)]
    connections: usize,
    /// Tenants, which send in turn
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=1_000))]
    tenants: u64,
    /// Percent of the events that meet a goal of an enrolled contact
    #[arg(long, default_value_t = 1.0, value_name = "PERCENT")]
    matching: f64,
    /// Workflows of each tenant, with three goals each
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    workflows: u64,
    /// Types by weight, such as page_viewed=80,payment.completed=20
    #[arg(long)]
    types: Option<Mix>,
    /// Wait until everything is judged, and say how long after its event each workflow.exit.goal came
    #[arg(long, conflicts_with = "url")]
    exits: bool,
    /// The dev.json of a running `goalpost dev`
    #[arg(long, default_value = DEV_JSON, value_name = "DEV_JSON")]
    on: PathBuf,
    /// An ingest service, http://host:port; needs --token
    #[arg(long, requires = "token", conflicts_with = "on")]
    url: Option<String>,
    /// A write token for --url; may be given several times
    #[arg(long, requires = "url")]
    token: Vec<String>,
    /// Print the report as JSON
    #[arg(long)]
    json: bool,
}

pub fn main(args: &Args) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let report = runtime.block_on(run(args))?;
    if args.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        report.print();
    }
    Ok(if report.holds { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn run(args: &Args) -> anyhow::Result<Report> {
    ensure!(args.rate >= 0.0 && args.rate.is_finite(), "--rate is a number of events a second");
    ensure!(args.seconds > 0.0 && args.seconds <= 86_400.0, "--seconds is up to a day");
    ensure!((0.0..=100.0).contains(&args.matching), "--matching is a percentage");
    ensure!((1..=500).contains(&args.batch), "--batch is 1 to 500: ingest takes no more events in one request");
    if let Some(url) = &args.url {
        let tenants = u64::try_from(args.token.len())?;
        let contents = Contents {
            scenario: Scenario { tenants, workflows: args.workflows, enrollments: 0 },
            mix: args.types.clone().unwrap_or_default(),
            matching_ppm: 0,
            strangers_ppm: args.ppm(),
        };
        let sending = args.send(url.clone(), args.token.clone(), contents, Clock::start()).await?;
        return Ok(Report::of(args.rate, &sending, None));
    }
    let place = Place::read(&args.on)?;
    let contents = Contents {
        scenario: Scenario { tenants: args.tenants, workflows: args.workflows, enrollments: args.enrollments()? },
        mix: args.types.clone().unwrap_or_default(),
        matching_ppm: args.ppm(),
        strangers_ppm: 0,
    };
    let tenants = setup::tenants(&place, args.tenants).await?;
    setup::configure(&place, &tenants, contents.scenario).await?;
    let tokens = tenants.into_iter().map(|tenant| tenant.write_token).collect();
    let url = place.services.ingest.url.clone();
    let clock = Clock::start();
    if !args.exits {
        let sending = args.send(url, tokens, contents, clock).await?;
        return Ok(Report::of(args.rate, &sending, None));
    }
    let database = crate::database::connect(&place.database_url).await?;
    let servers = Servers { database: &database, management_url: place.management_url()?, vhost: place.vhost()? };
    let mut subscription = subscribe(&place.amqp_url).await?;
    let exits = RefCell::new(Exits::of(clock));
    let work = async {
        let sending = args.send(url, tokens, contents, clock).await?;
        let waiting = Progress::waiting("waiting until everything is judged");
        servers.finish(&waiting).await?;
        all_received(&exits, sending.tally.matching).await;
        waiting.done();
        anyhow::Ok(sending)
    };
    let sending = tokio::select! {
        biased;
        lost = listen(&mut subscription, &exits) => return Err(lost),
        sending = work => sending?,
    };
    Ok(Report::of(args.rate, &sending, Some(&exits.borrow())))
}

/// Takes what the subscriber gets; ends only when its connection does.
async fn listen(subscription: &mut Subscription, exits: &RefCell<Exits>) -> anyhow::Error {
    while let Some(message) = subscription.next().await {
        exits.borrow_mut().take(&message);
    }
    anyhow::anyhow!("the subscriber of workflow.exit.goal lost its connection")
}

/// After the queues are empty the subscriber's last messages are still on their way.
async fn all_received(exits: &RefCell<Exits>, expected: u64) {
    let limit = Instant::now() + Duration::from_secs(5);
    while exits.borrow().distinct() < expected && Instant::now() < limit {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

impl Args {
    async fn send(
        &self,
        url: String,
        tokens: Vec<String>,
        contents: Contents,
        clock: Clock,
    ) -> anyhow::Result<Sending> {
        let pace = if self.rate > 0.0 { Pace::Open { events_per_second: self.rate } } else { Pace::Closed };
        let progress = match pace {
            Pace::Open { .. } => Progress::of("sending", self.events()),
            Pace::Closed => Progress::waiting("sending"),
        };
        let duration = Duration::from_secs_f64(self.seconds);
        let (batch, connections) = (self.batch, self.connections);
        let load = Load { url, tokens, contents, pace, duration, batch, connections };
        let bar = progress.adder();
        let sending = send(load, clock, bar).await.context("cannot send");
        progress.done();
        sending
    }

    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked to be small and not negative")]
    fn ppm(&self) -> u64 {
        (self.matching / 100.0 * PPM as f64).round() as u64
    }

    /// How many events an open loop sends.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked to be small and not negative")]
    fn events(&self) -> u64 {
        (self.rate * self.seconds).ceil() as u64
    }

    /// As many contacts of each tenant as will have a matching event.
    fn enrollments(&self) -> anyhow::Result<u64> {
        ensure!(
            self.rate > 0.0 || self.matching == 0.0,
            "without a rate nobody knows how many contacts to enroll: --matching 0"
        );
        Ok(((self.events() + self.batch * self.tenants) * self.ppm()).div_ceil(PPM * self.tenants) + 1)
    }
}
