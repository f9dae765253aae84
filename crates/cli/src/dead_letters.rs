//! `goalpost dead-letters`: messages that were given up, looked at, given again or thrown away, on the database itself; as the goals
//! service does it over HTTP.

use std::process::ExitCode;

use anyhow::{anyhow, ensure};
use clap::builder::PossibleValuesParser;
use comfy_table::{Table, presets};
use domain::dead_letter::{LetterId, Schema, kinds};
use domain::ids::TenantId;
use domain::time_format;
use goals::bootstrap::ACTOR;
use goals::dead_letters::{self, Filter, Letter, MOST, Place, Settle, Settled, Which};
use pg::Db;
use serde_json::{Value, json};
use time::OffsetDateTime;

use crate::credentials::tenant_id;
use crate::database::DatabaseArgs;
use crate::output::OutputArgs;

/// Messages that a service has given up. Needs the login goalpost_goals_system or a superuser.
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
        id: LetterId,
        /// Show what it says, too, and the cause, which may quote it: a contact's data. Is audited
        #[arg(long)]
        payload: bool,
    },
    /// Give them to the queue they died in, as a fresh delivery. Is audited
    Requeue(SettleArgs),
    /// Delete them; what they said is lost. Is audited
    Discard(SettleArgs),
}

#[derive(clap::Args)]
struct FilterArgs {
    #[arg(long, value_parser = PossibleValuesParser::new(Schema::ALL.iter().map(|it| it.as_str())))]
    service: Option<String>,
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
    #[arg(value_name = "ID", conflicts_with_all = ["service", "queue", "tenant", "code", "since", "until"])]
    ids: Vec<LetterId>,
    #[command(flatten)]
    which: FilterArgs,
    /// All, if nothing else says which
    #[arg(long)]
    all: bool,
    /// Only say which they would be
    #[arg(long)]
    dry_run: bool,
}

fn word(how: Settle) -> &'static str {
    match how {
        Settle::Requeue => "requeued",
        Settle::Discard => "discarded",
    }
}

impl FilterArgs {
    fn filter(&self) -> Filter {
        Filter {
            schema: self.service.as_deref().and_then(|name| name.parse().ok()),
            queue: self.queue.clone(),
            tenant: self.tenant.clone(),
            code: self.code.clone(),
            from: self.since,
            to: self.until,
        }
    }

    fn says_nothing(&self) -> bool {
        let texts = self.queue.is_none() && self.code.is_none() && self.tenant.is_none() && self.service.is_none();
        texts && self.since.is_none() && self.until.is_none()
    }
}

fn moment(text: &str) -> anyhow::Result<OffsetDateTime> {
    time_format::parse(text).map_err(|fault| anyhow!("{fault}"))
}

pub async fn main(args: &Args) -> anyhow::Result<ExitCode> {
    let db = args.database.db()?;
    match &args.action {
        Action::List { which, limit } => {
            let letters = dead_letters::list(&db, which.filter(), None, *limit).await.map_err(advice)?;
            let items: Vec<Value> = letters.iter().map(said).collect();
            args.output.print(&json!({"items": items}), || print(&letters))?;
        }
        Action::Show { id, payload } => show(&db, *id, *payload, args.output).await?,
        Action::Requeue(which) => return settle(&db, Settle::Requeue, which, args.output).await,
        Action::Discard(which) => return settle(&db, Settle::Discard, which, args.output).await,
    }
    Ok(ExitCode::SUCCESS)
}

/// What went wrong, with what to do next.
fn advice(error: goals::Error) -> anyhow::Error {
    let next = match error.code() {
        "not_found" => "there is no such dead letter: see `goalpost dead-letters list`",
        "database_unavailable" => "is the database up, and are user and password right?",
        _ => {
            "is the database migrated (`goalpost migrate`), and is the login goalpost_goals_system or a superuser? The letters \
              stay as they were"
        }
    };
    let code = error.code();
    anyhow!("{:#} ({code}): {next}", anyhow!(error))
}

/// A letter as this command tells it: named in one text.
fn said(letter: &Letter) -> Value {
    let mut said = json!(letter);
    if let Some(members) = said.as_object_mut() {
        members.insert("id".to_owned(), letter.letter_id().to_string().into());
        members.insert("service".to_owned(), letter.schema.as_str().into());
        members.remove("schema");
    }
    said
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
            letter.letter_id().to_string(),
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

async fn show(db: &Db, id: LetterId, payload: bool, output: OutputArgs) -> anyhow::Result<()> {
    let (letter, content) = dead_letters::find(db, ACTOR, id, payload).await.map_err(advice)?;
    let mut said = said(&letter);
    said["fields"] = kinds(&content.payload);
    if payload {
        said["cause"] = content.cause.clone().into();
        match std::str::from_utf8(&content.payload) {
            Ok(text) => said["payload"] = text.into(),
            Err(_) => said["payload_hex"] = dead_letters::hex(&content.payload).into(),
        }
    }
    output.print(&said, || {
        print(std::slice::from_ref(&letter));
        println!("fields: {}", said["fields"]);
        if payload {
            println!("cause: {}\n{}", content.cause, String::from_utf8_lossy(&content.payload));
        } else {
            eprintln!("What it says and the cause, which may quote it, are shown with --payload.");
        }
    })
}

/// Which letters the filter takes now, all of them.
async fn taken(db: &Db, filter: &Filter) -> anyhow::Result<Vec<LetterId>> {
    let (mut ids, page) = (Vec::new(), i64::try_from(MOST)?);
    let mut after: Option<Place> = None;
    loop {
        let letters = dead_letters::list(db, filter.clone(), after, page).await.map_err(advice)?;
        ids.extend(letters.iter().map(Letter::letter_id));
        after = letters.last().map(|last| (last.last_seen_at, last.letter_id()));
        if letters.len() < MOST {
            return Ok(ids);
        }
    }
}

async fn settle(db: &Db, how: Settle, which: &SettleArgs, output: OutputArgs) -> anyhow::Result<ExitCode> {
    let by_filter = which.ids.is_empty();
    let nothing_said = by_filter && which.which.says_nothing();
    ensure!(!nothing_said || which.all, "which? Give ids, filters, or --all; --dry-run says which they would be");
    let mut asked = if by_filter { taken(db, &which.which.filter()).await? } else { which.ids.clone() };
    asked.sort_unstable();
    asked.dedup();
    let (mut settled, mut missing) = (Vec::new(), Vec::new());
    for ids in asked.chunks(MOST) {
        let of_these = dead_letters::settle(db, ACTOR, how, Which::Named(ids.to_vec()), which.dry_run).await;
        let Settled { letters, missing: gone, .. } = of_these.map_err(advice)?;
        settled.extend(letters);
        missing.extend(gone);
    }
    let texts = |ids: &[LetterId]| ids.iter().map(ToString::to_string).collect::<Vec<_>>();
    let done: &[LetterId] = if which.dry_run { &[] } else { &settled };
    let said =
        json!({"dry_run": which.dry_run, "found": texts(&settled), word(how): texts(done), "missing": texts(&missing)});
    output.print(&said, || {
        for id in &settled {
            println!("{id}");
        }
        let count = if which.dry_run { "None".to_owned() } else { done.len().to_string() };
        println!("{count} of {} {}.", asked.len(), word(how));
        for id in &missing {
            eprintln!("There is no dead letter {id}.");
        }
    })?;
    Ok(if missing.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
