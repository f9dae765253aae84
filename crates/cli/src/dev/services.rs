//! The four services of `goalpost dev`, as `goalpost serve …`.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use devstack::Stack;
use serde::Serialize;

use super::installation::Logins;

/// Each service with its built-in settings.
const SERVICES: [(&str, &str); 4] = [
    ("ingest", ingest::DEFAULTS),
    ("goals", goals::DEFAULTS),
    ("evaluator", evaluator::DEFAULTS),
    ("analytics", analytics::DEFAULTS),
];

const READY_LIMIT: Duration = Duration::from_secs(60);
/// A service that was started again this often and ended before it was ready will not become it.
const MOST_RESTARTS: u32 = 3;

/// Where a service listens.
#[derive(Serialize)]
pub struct Address {
    pub url: String,
    pub admin_url: String,
}

/// Starts the services and waits until all are ready.
pub async fn start(stack: &mut Stack, logins: &Logins) -> anyhow::Result<BTreeMap<&'static str, Address>> {
    let program = std::env::current_exe().context("cannot find the running program")?;
    let mut addresses = BTreeMap::new();
    for (service, defaults) in SERVICES {
        let (port, admin_port) = (stack.port(service)?, stack.port(&format!("{service}_admin"))?);
        let mut env = vec![
            ("GOALPOST__HTTP__PORT", port.to_string()),
            ("GOALPOST__HTTP__ADMIN_PORT", admin_port.to_string()),
            ("GOALPOST__DATABASE__URL", logins.url(service)),
            ("GOALPOST__DATABASE__SYSTEM_URL", logins.url(&format!("{service}_system"))),
        ];
        // A service refuses settings that it does not know.
        if defaults.lines().any(|line| line.trim() == "[bus]") {
            env.push(("GOALPOST__BUS__URL", stack.amqp_url().to_owned()));
        }
        if !is_set(GRACE) {
            // There is no load balancer here that must notice first.
            env.push((GRACE, "0".to_owned()));
        }
        let env: Vec<_> = env.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        let mut command = without(&of_others(defaults));
        command.extend([program.clone().into(), "serve".into(), service.into()]);
        stack.spawn_service(service, &command, &env).await?;
        let at = |port: u16| format!("http://127.0.0.1:{port}");
        addresses.insert(service, Address { url: at(port), admin_url: at(admin_port) });
    }
    for (service, address) in &addresses {
        if let Err(failure) = wait_until_ready(stack, service, address).await {
            bail!("{failure:#}; {}", stack.log_tail(service));
        }
    }
    Ok(addresses)
}

const GRACE: &str = "GOALPOST__LIFE__GRACE_SECONDS";

#[expect(clippy::disallowed_methods, reason = "whether a child's setting was chosen by the caller")]
fn is_set(name: &str) -> bool {
    std::env::var_os(name).is_some()
}

/// Variables that set something of a section that this service has not, and another has: it would refuse to start with them.
#[expect(clippy::disallowed_methods, reason = "the children of this process get its environment")]
fn of_others(defaults: &str) -> Vec<OsString> {
    let section = |name: &OsString| Some(name.to_str()?.strip_prefix("GOALPOST__")?.split_once("__")?.0.to_lowercase());
    let has = |defaults: &str, section: &str| {
        let heads = defaults.lines().filter_map(|line| line.trim().strip_prefix('[')?.strip_suffix(']'));
        heads.filter_map(|head| head.split('.').next()).any(|head| head == section)
    };
    let names = std::env::vars_os().map(|(name, _)| name);
    let is_others = |name: &OsString| {
        let section = section(name);
        let somebodys = |section: &String| !has(defaults, section) && SERVICES.iter().any(|(_, of)| has(of, section));
        section.as_ref().is_some_and(somebodys)
    };
    names.filter(is_others).collect()
}

/// The beginning of a command that runs without these variables.
fn without(variables: &[OsString]) -> Vec<OsString> {
    if variables.is_empty() {
        return Vec::new();
    }
    let unset = variables.iter().flat_map(|name| ["-u".into(), name.clone()]);
    std::iter::once("env".into()).chain(unset).collect()
}

async fn wait_until_ready(stack: &Stack, service: &str, address: &Address) -> anyhow::Result<()> {
    let http = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(5)).build()?;
    let limit = Instant::now() + READY_LIMIT;
    loop {
        let last = match http.get(format!("{}/health/ready", address.admin_url)).send().await {
            Ok(answer) if answer.status().is_success() => return Ok(()),
            Ok(answer) => format!("it answers {}", answer.status()),
            Err(_) => "it does not answer".to_owned(),
        };
        let state = stack.service(service).unwrap_or_default();
        if state.restarts >= MOST_RESTARTS && state.pid.is_none() {
            let end = state.last_end.unwrap_or_default();
            bail!("{service} ends again and again while starting ({end})");
        }
        if Instant::now() > limit {
            bail!("{service} is not ready after {} s: {last}", READY_LIMIT.as_secs());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
