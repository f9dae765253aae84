//! The skeleton of every `main`: arguments, settings, logs, runtime, signals, stages of the end.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use serde::de::DeserializeOwned;
use tokio::runtime::Handle;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::settings::{Environment, Loaded, load, redacted_toml};
use crate::{Context, Running, SettingsError, reload, telemetry, traces};

/// Exit code for settings or arguments that cannot be used (`EX_USAGE`).
pub const EXIT_SETTINGS: u8 = 64;

/// The arguments of a service.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options {
    /// `--config FILE`: a TOML file over the built-in defaults.
    pub config: Option<PathBuf>,
    /// `--check-config`: print the effective settings and end.
    pub check_config: bool,
}

/// What the command line asks for.
enum Asked {
    Run(Options),
    Print(String),
}

/// Runs a service until it is asked to end: the whole of a service's `fn main`.
///
/// `defaults` is its `default.toml`. `start` sets it up, spawns its tasks and returns; it is called
/// again with new settings when a secret file has changed.
pub fn main<S, F>(service: &'static str, defaults: &'static str, start: F) -> ExitCode
where
    S: DeserializeOwned,
    F: AsyncFn(Context<S>) -> anyhow::Result<()>,
{
    match parse(service, std::env::args_os().skip(1)) {
        Ok(Asked::Run(options)) => run(service, defaults, &options, start),
        Ok(Asked::Print(text)) => {
            println!("{text}");
            ExitCode::SUCCESS
        }
        Err(error) => refuse(service, &error),
    }
}

/// As [`main`], with arguments that were parsed by somebody else.
pub fn run<S, F>(service: &'static str, defaults: &'static str, options: &Options, start: F) -> ExitCode
where
    S: DeserializeOwned,
    F: AsyncFn(Context<S>) -> anyhow::Result<()>,
{
    let environment = Environment::of_process();
    let settings = || load::<S>(defaults, options.config.as_deref(), &environment);
    let loaded = match settings() {
        Ok(loaded) => loaded,
        Err(error) => return refuse(service, &error),
    };
    if options.check_config {
        print!("{}", redacted_toml(&loaded.merged));
        return ExitCode::SUCCESS;
    }
    telemetry::init(service, &loaded.telemetry);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!(%error, "no runtime");
            return ExitCode::FAILURE;
        }
    };
    let ended = runtime.block_on(serve_with_reloads(service, loaded, &start, settings));
    runtime.shutdown_timeout(Duration::from_secs(1));
    traces::flush();
    match ended {
        Ok(()) => {
            tracing::info!(service, "ended");
            ExitCode::SUCCESS
        }
        Err(error) => {
            let reason = format!("{error:#}");
            tracing::error!(service, reason, "ended");
            ExitCode::FAILURE
        }
    }
}

fn refuse(service: &str, error: &SettingsError) -> ExitCode {
    eprintln!("{service}: {error}");
    ExitCode::from(EXIT_SETTINGS)
}

fn parse(service: &str, arguments: impl IntoIterator<Item = OsString>) -> Result<Asked, SettingsError> {
    let usage = format!("usage: {service} [--config FILE] [--check-config]");
    let refused = |what: String| SettingsError::Usage(format!("{what}; {usage}"));
    let mut options = Options::default();
    let mut arguments = arguments.into_iter();
    while let Some(argument) = arguments.next() {
        match argument.to_str() {
            Some("--config") => {
                let file = arguments.next().ok_or_else(|| refused("--config wants a file".into()))?;
                options.config = Some(PathBuf::from(file));
            }
            Some("--check-config") => options.check_config = true,
            Some("--version") => {
                return Ok(Asked::Print(format!("{service} {}", env!("CARGO_PKG_VERSION"))));
            }
            Some("--help" | "-h") => return Ok(Asked::Print(usage)),
            _ => return Err(refused(format!("unknown argument {}", argument.display()))),
        }
    }
    Ok(Asked::Run(options))
}

/// Serves, and starts anew with new settings whenever a secret file has changed.
async fn serve_with_reloads<S, F>(
    service: &'static str,
    mut loaded: Loaded<S>,
    start: &F,
    settings: impl Fn() -> Result<Loaded<S>, SettingsError>,
) -> anyhow::Result<()>
where
    F: AsyncFn(Context<S>) -> anyhow::Result<()>,
{
    let mut signals = Signals::listen()?;
    loop {
        let Loaded { settings: first, life, secret_files, .. } = loaded;
        let context = Context::new(service, first, Handle::current(), &life);
        let (running, shutdown) = (context.running(), context.shutdown.clone());
        let poll = Duration::from_secs(life.secret_poll_seconds);
        let mut reload = false;
        {
            let served = serve(service, start(context), &running);
            let changed = reload::changed(&secret_files, poll, || settings().is_ok());
            tokio::pin!(served, changed);
            loop {
                tokio::select! {
                    ended = &mut served => break ended?,
                    // A signal while it drains for new settings makes that the end.
                    () = signals.next() => if !std::mem::take(&mut reload) {
                        shutdown.begin();
                    },
                    () = &mut changed, if !shutdown.is_stopping() => {
                        reload = true;
                        shutdown.begin();
                    }
                }
            }
        }
        if !reload {
            return Ok(());
        }
        tracing::info!(service, "starting again with new settings");
        loaded = settings()?;
    }
}

/// Starts the service and waits for its end.
async fn serve(
    service: &str,
    start: impl Future<Output = anyhow::Result<()>>,
    running: &Running,
) -> anyhow::Result<()> {
    // A start that waits for something is given up when the end has come first.
    tokio::select! {
        started = start => if let Err(error) = started {
            running.abandon().await;
            return Err(error.context(format!("{service} could not start")));
        },
        ended = running.ended() => return Ok(ended?),
    }
    tracing::info!(service, version = env!("CARGO_PKG_VERSION"), "started");
    Ok(running.ended().await?)
}

/// SIGTERM and SIGINT: the first begins the end, the second skips to its last step.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn listen() -> std::io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn next(&mut self) {
        let name = tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        };
        tracing::info!(signal = name, "signal");
    }
}
