//! `goalpost dead-letters`: messages that were given up, looked at, given again or thrown away, on the database itself.

use std::collections::BTreeMap;
use std::process::ExitCode;

use anyhow::{Context, ensure};
use comfy_table::{Table, presets};
use domain::ids::TenantId;
use domain::time_format;
use serde_json::{Value, json};
use time::OffsetDateTime;
use tokio_postgres::Client;

use crate::credentials::tenant_id;
use crate::database::DatabaseArgs;
use crate::output::OutputArgs;
use crate::store::dead_letters::{self, Content, Filter, Letter, Service};

/// Longest key of a payload that is shown; what is longer is no field of a message.
const MAX_KEY_BYTES: usize = 32;

/// Messages that a service has given up. `list` and `show` need the login goalpost_goals_system
/// or a superuser, `requeue` and `discard` a superuser.
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
    #[command(flatten)]
    database: DatabaseArgs,
    #[command(flatten)]
    output: OutputArgs,
}

#[derive(clap::Subcommand)]
enum Action {
    /// List them, the one seen last first; without what they say
    List {
        #[command(flatten)]
        which: FilterArgs,
        /// At most so many
        #[arg(long, default_value_t = 100, value_name = "N", value_parser = clap::value_parser!(i64).range(1..))]
        limit: i64,
    },
    /// Show one: where it died, its code, and of its content only the kinds of its fields
    Show {
        /// As `list` names it: evaluator/17
        #[arg(value_parser = letter_id)]
        id: String,
        /// Show what it says, too, and the cause, which may quote it: a contact's data
        #[arg(long)]
        payload: bool,
    },
    /// Give them to the queue they died in, as a fresh delivery
    Requeue(SettleArgs),
    /// Delete them; what they said is lost
    Discard(SettleArgs),
}

#[derive(clap::Args)]
struct FilterArgs {
    #[arg(long, value_enum)]
    service: Option<Service>,
    /// The queue they died in
    #[arg(long)]
    queue: Option<String>,
    #[arg(long, value_parser = tenant_id)]
    tenant: Option<TenantId>,
    /// Why they were given up
    #[arg(long)]
    code: Option<String>,
    /// Seen last at this time or later: 2026-01-03T10:00:00Z
    #[arg(long, value_name = "TIME", value_parser = moment)]
    since: Option<OffsetDateTime>,
    /// Seen last before this time
    #[arg(long, value_name = "TIME", value_parser = moment)]
    until: Option<OffsetDateTime>,
}

#[derive(clap::Args)]
struct SettleArgs {
    /// As `list` names them; or else those that the filters take
    #[arg(value_parser = letter_id, value_name = "ID")]
    ids: Vec<String>,
    #[command(flatten)]
    which: FilterArgs,
    /// All, if nothing else says which
    #[arg(long)]
    all: bool,
    /// Only say which they would be
    #[arg(long)]
    dry_run: bool,
}

#[derive(Clone, Copy)]
enum Settle {
    Requeue,
    Discard,
}

impl Settle {
    fn done(self) -> &'static str {
        match self {
            Self::Requeue => "requeued",
            Self::Discard => "discarded",
        }
    }
}

impl FilterArgs {
    fn filter(&self) -> Filter {
        Filter {
            ids: None,
            service: self.service,
            queue: self.queue.clone(),
            tenant: self.tenant.clone(),
            code: self.code.clone(),
            since: self.since,
            until: self.until,
        }
    }

    fn says_nothing(&self) -> bool {
        let texts = self.queue.is_none() && self.code.is_none() && self.tenant.is_none() && self.service.is_none();
        texts && self.since.is_none() && self.until.is_none()
    }
}

fn moment(text: &str) -> anyhow::Result<OffsetDateTime> {
    time_format::parse(text).map_err(|fault| anyhow::anyhow!("{fault}"))
}

fn letter_id(text: &str) -> anyhow::Result<String> {
    let parts = text.split_once('/');
    let known = parts.is_some_and(|(service, number)| {
        let canonical = number.parse::<i64>().is_ok_and(|id| id.to_string() == number);
        canonical && Service::ALL.iter().any(|it| it.name() == service)
    });
    ensure!(
        known,
        "a dead letter's id is its service and number, as `goalpost dead-letters list` has it: evaluator/17"
    );
    Ok(text.to_owned())
}

pub async fn main(args: &Args) -> anyhow::Result<ExitCode> {
    let client = args.database.connect().await?;
    match &args.action {
        Action::List { which, limit } => list(&find(&client, &which.filter(), Some(*limit)).await?, args.output)?,
        Action::Show { id, payload } => show(&client, id, *payload, args.output).await?,
        Action::Requeue(which) => return settle(&client, Settle::Requeue, which, args.output).await,
        Action::Discard(which) => return settle(&client, Settle::Discard, which, args.output).await,
    }
    Ok(ExitCode::SUCCESS)
}

async fn find(client: &Client, filter: &Filter, limit: Option<i64>) -> anyhow::Result<Vec<Letter>> {
    dead_letters::find(client, filter, limit).await.context(
        "the dead letters cannot be read: is the database migrated (`goalpost migrate`), and is the login \
         goalpost_goals_system or a superuser?",
    )
}

fn list(letters: &[Letter], output: OutputArgs) -> anyhow::Result<()> {
    output.print(&json!({"items": letters}), || print(letters))
}

fn print(letters: &[Letter]) {
    let mut lines = Table::new();
    lines.load_style(presets::UTF8_BORDERS_ONLY).set_header([
        "id",
        "tenant",
        "queue",
        "key",
        "code",
        "tries",
        "bytes",
        "seen last",
    ]);
    for letter in letters {
        lines.add_row([
            letter.id.clone(),
            letter.tenant_id.clone().unwrap_or_default(),
            letter.queue.clone(),
            letter.routing_key.clone(),
            letter.code.clone(),
            letter.attempts.to_string(),
            letter.payload_bytes.to_string(),
            time_format::to_text(letter.last_seen_at),
        ]);
    }
    println!("{lines}");
}

async fn show(client: &Client, id: &str, payload: bool, output: OutputArgs) -> anyhow::Result<()> {
    let filter = Filter { ids: Some(vec![id.to_owned()]), ..Filter::default() };
    let found = find(client, &filter, Some(1)).await?.pop();
    let content = dead_letters::content(client, id).await?;
    let (Some(letter), Some(content)) = (found, content) else {
        anyhow::bail!("there is no dead letter {id}: see `goalpost dead-letters list`");
    };
    let mut said = serde_json::to_value(&letter)?;
    said["fields"] = kinds(&content.payload);
    if payload {
        said["cause"] = content.cause.clone().into();
        match std::str::from_utf8(&content.payload) {
            Ok(text) => said["payload"] = text.into(),
            Err(_) => said["payload_hex"] = hex(&content.payload).into(),
        }
    }
    output.print(&said, || {
        print(std::slice::from_ref(&letter));
        println!("fields: {}", said["fields"]);
        if payload {
            let Content { cause, payload } = &content;
            println!("cause: {cause}\n{}", String::from_utf8_lossy(payload));
        } else {
            eprintln!("What it says and the cause, which may quote it, are shown with --payload.");
        }
    })
}

/// The fields of a payload with the kinds of their values. No value, and no key that can be no field of a message.
fn kinds(payload: &[u8]) -> Value {
    let fields = match serde_json::from_slice(payload) {
        Ok(Value::Object(fields)) => fields,
        Ok(other) => return kind(&other).into(),
        Err(_) => return "no JSON".into(),
    };
    let is_field =
        |key: &str| key.len() <= MAX_KEY_BYTES && key.bytes().all(|it| it.is_ascii_lowercase() || it == b'_');
    let (known, others): (Vec<_>, Vec<_>) = fields.iter().partition(|(key, _)| is_field(key));
    let mut kinds: BTreeMap<&str, String> = known.into_iter().map(|(key, value)| (key.as_str(), kind(value))).collect();
    if !others.is_empty() {
        kinds.insert("…", format!("{} others", others.len()));
    }
    json!(kinds)
}

fn kind(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(_) => "boolean".to_owned(),
        Value::Number(_) => "number".to_owned(),
        Value::String(_) => "string".to_owned(),
        Value::Array(items) => format!("array of {}", items.len()),
        Value::Object(fields) => format!("object of {}", fields.len()),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

async fn settle(client: &Client, how: Settle, which: &SettleArgs, output: OutputArgs) -> anyhow::Result<ExitCode> {
    let nothing_said = which.ids.is_empty() && which.which.says_nothing();
    ensure!(!nothing_said || which.all, "which? Give ids, filters, or --all; --dry-run says which they would be");
    let mut filter = which.which.filter();
    filter.ids = (!which.ids.is_empty()).then(|| which.ids.clone());
    let letters = find(client, &filter, None).await?;
    let mut done = Vec::new();
    if !which.dry_run {
        for service in Service::ALL {
            let of_service = letters.iter().filter(|letter| letter.service == service.name());
            let numbers: Vec<i64> = of_service.map(|letter| letter.number).collect();
            if numbers.is_empty() {
                continue;
            }
            let settled = match how {
                Settle::Requeue => dead_letters::requeue(client, service, &numbers).await,
                Settle::Discard => dead_letters::discard(client, service, &numbers).await,
            };
            let settled = settled.with_context(|| {
                format!(
                    "those of {} stay as they were; this needs a superuser: give its address by --database-url",
                    service.name()
                )
            })?;
            done.extend(settled.into_iter().map(|number| format!("{}/{number}", service.name())));
        }
    }
    let found: Vec<&String> = letters.iter().map(|letter| &letter.id).collect();
    let missing: Vec<&String> = which.ids.iter().filter(|id| !found.contains(id)).collect();
    let said = json!({"dry_run": which.dry_run, "found": found, how.done(): done, "missing": missing});
    output.print(&said, || {
        print(&letters);
        let count = if which.dry_run { "None".to_owned() } else { done.len().to_string() };
        println!("{count} of {} {}.", letters.len(), how.done());
        for id in &missing {
            eprintln!("There is no dead letter {id}, or the filters do not take it.");
        }
    })?;
    let all = missing.is_empty() && (which.dry_run || done.len() == letters.len());
    Ok(if all { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_letter_is_named_by_service_and_number() {
        for good in ["ingest/1", "evaluator/9223372036854775807"] {
            assert!(letter_id(good).is_ok(), "{good}");
        }
        for bad in ["1", "analytics/1", "ingest/", "ingest/x", "ingest/01", "ingest/1/2"] {
            assert!(letter_id(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn of_a_payload_only_fields_and_kinds_are_told() {
        let payload =
            br#"{"tenant_id": "shop", "events": [1, 2], "properties": {"mail": "a@b.c"}, "a@b.c": 1, "version": 1}"#;
        let told = json!({"tenant_id": "string", "events": "array of 2", "properties": "object of 1", "version": "number",
            "…": "1 others"});
        assert_eq!(kinds(payload), told);
        assert_eq!(kinds(b"a@b.c"), json!("no JSON"));
        assert_eq!(kinds(b"\"a@b.c\""), json!("string"));
    }
}
