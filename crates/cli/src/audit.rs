//! `goalpost audit verify`: whether the audit log is what was written, row by row.

use std::pin::pin;
use std::process::ExitCode;

use anyhow::{Context, ensure};
use comfy_table::{Table, presets};
use domain::audit::{Chain, Finding, Head, Wrong};
use domain::ids::TenantId;
use futures_util::TryStreamExt;
use serde_json::{Value, json};
use tokio_postgres::Client;

use crate::credentials::tenant_id;
use crate::database::DatabaseArgs;
use crate::output::OutputArgs;
use crate::store::audit::{self, Link};
use crate::store::tenants;

/// So many of the things that are wrong are told one by one; all are counted.
const MOST_TOLD: usize = 1_000;

/// The audit log.
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
    /// Hash every entry again and follow the chain of each tenant to its head. Prints the heads; keep
    /// them elsewhere, and give one back with --expect. Needs the login goalpost_backup or a superuser
    Verify {
        /// Only of this tenant
        #[arg(long, value_parser = tenant_id)]
        tenant: Option<TenantId>,
        /// A head that was printed before: the chain must still pass it. May be repeated
        #[arg(long, value_name = "TENANT:SEQ:HASH", value_parser = point)]
        expect: Vec<Point>,
    },
}

/// A head of a tenant's chain, as it was printed; that of the installation's own log has no tenant before its first colon.
#[derive(Clone)]
struct Point {
    tenant: String,
    head: Head,
}

fn point(text: &str) -> anyhow::Result<Point> {
    let form = "a head is written TENANT:SEQ:HASH, as `goalpost audit verify` prints it";
    let mut parts = text.split(':');
    let (Some(tenant), Some(seq), Some(hash), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
        anyhow::bail!(form);
    };
    let tenant = if tenant.is_empty() { String::new() } else { tenant_id(tenant)?.to_string() };
    let seq = seq.parse().ok().filter(|seq| *seq >= 1).context(form)?;
    ensure!(hash.len() == 64 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()), form);
    let byte = |at| u8::from_str_radix(&hash[at..at + 2], 16);
    let hash = (0..64).step_by(2).map(byte).collect::<Result<_, _>>()?;
    Ok(Point { tenant, head: Head { seq, hash } })
}

fn printed(tenant: &str, head: &Head) -> String {
    let hash: String = head.hash.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{tenant}:{}:{hash}", head.seq)
}

/// What was found so far. It grows with the tenants, not with their entries.
#[derive(Default)]
struct Report {
    entries: u64,
    tenants: Vec<(String, Head)>,
    wrong: Vec<(String, Finding)>,
    wrong_total: u64,
}

impl Report {
    fn add(&mut self, tenant: &str, found: Vec<Finding>) {
        for finding in found {
            self.wrong_total += 1;
            if self.wrong.len() < MOST_TOLD {
                self.wrong.push((tenant.to_owned(), finding));
            }
        }
    }

    fn end(&mut self, (tenant, chain): (String, Chain), head: Option<&Head>) {
        let at = chain.at().clone();
        let found = chain.end(head);
        self.add(&tenant, found);
        self.tenants.push((tenant, at));
    }
}

const CANNOT: &str = "the audit log cannot be read whole: is the database migrated (`goalpost migrate`), and is the login \
                      goalpost_backup or a superuser?";

pub async fn main(args: &Args) -> anyhow::Result<ExitCode> {
    let Action::Verify { tenant, expect } = &args.action;
    let client = args.database.connect().await?;
    ensure!(!audit::sees_some_only(&client).await.context(CANNOT)?, CANNOT);
    if let Some(tenant) = tenant {
        let known = tenants::exists(&client, tenant.as_str()).await.context(CANNOT)?;
        ensure!(known, "there is no tenant {tenant}: see `goalpost tenant list`");
        let others = expect.iter().any(|point| point.tenant != tenant.as_str());
        ensure!(!others, "--expect names another tenant than --tenant");
    }
    let report = follow(&client, tenant.as_ref(), expect).await.context(CANNOT)?;
    print(&report, args.output)?;
    Ok(if report.wrong_total == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Follows the chains from the first entry to the head.
async fn follow(client: &Client, tenant: Option<&TenantId>, expect: &[Point]) -> Result<Report, tokio_postgres::Error> {
    let mut links = pin!(audit::read(client, tenant).await?);
    let mut report = Report::default();
    let mut open: Option<(String, Chain)> = None;
    while let Some(link) = links.try_next().await? {
        let of = match &link {
            Link::Entry(entry) => &entry.tenant_id,
            Link::Head { tenant_id, .. } => tenant_id,
        };
        let same = open.take_if(|(tenant, _)| tenant == of);
        if let Some(before) = open.take() {
            report.end(before, None);
        }
        let (tenant, mut chain) = same.unwrap_or_else(|| (of.clone(), Chain::expecting(points(expect, of))));
        match link {
            Link::Entry(entry) => {
                report.entries += 1;
                report.add(&tenant, chain.follow(&entry));
                open = Some((tenant, chain));
            }
            Link::Head { head, .. } => report.end((tenant, chain), Some(&head)),
        }
    }
    if let Some(last) = open {
        report.end(last, None);
    }
    for point in expect {
        let name = &point.tenant;
        if !report.tenants.iter().any(|(seen, _)| seen == name) {
            report.end((name.clone(), Chain::expecting(points(expect, name))), None);
        }
    }
    Ok(report)
}

fn points(expect: &[Point], tenant: &str) -> Vec<Head> {
    expect.iter().filter(|point| point.tenant == tenant).map(|point| point.head.clone()).collect()
}

fn print(report: &Report, output: OutputArgs) -> anyhow::Result<()> {
    let tenants = report
        .tenants
        .iter()
        .map(|(tenant, head)| json!({"tenant_id": tenant, "seq": head.seq, "head": printed(tenant, head)}));
    let wrong = report.wrong.iter().map(|(tenant, Finding { seq, wrong })| {
        json!({"tenant_id": tenant, "seq": seq, "code": wrong.code(), "what": what(*seq, *wrong)})
    });
    let said = json!({
        "entries": report.entries,
        "tenants": tenants.collect::<Vec<Value>>(),
        "wrong": wrong.collect::<Vec<Value>>(),
        "wrong_total": report.wrong_total,
    });
    output.print(&said, || {
        let mut lines = Table::new();
        lines.load_style(presets::UTF8_BORDERS_ONLY).set_header(["tenant", "head"]);
        for (tenant, head) in &report.tenants {
            lines.add_row([log(tenant).to_owned(), printed(tenant, head)]);
        }
        println!("{lines}");
        for (tenant, Finding { seq, wrong }) in &report.wrong {
            eprintln!("{}: {}", log(tenant), what(*seq, *wrong));
        }
        println!("{} entries, {} wrong.", report.entries, report.wrong_total);
    })
}

/// Whose log it is, for people.
fn log(tenant: &str) -> &str {
    if tenant.is_empty() { "(the installation)" } else { tenant }
}

fn what(seq: i64, wrong: Wrong) -> String {
    match wrong {
        Wrong::Altered => format!("entry {seq} is not what was written: its hash is another"),
        Wrong::Unlinked => format!("entry {seq} does not follow from the one before it: one of them was replaced"),
        Wrong::Missing { last } if last == seq => format!("entry {seq} is gone"),
        Wrong::Missing { last } => format!("entries {seq} to {last} are gone"),
        Wrong::OutOfOrder => format!("there is another entry {seq}"),
        Wrong::HeadMissing => format!("the log ends at entry {seq}, and its head is gone"),
        Wrong::HeadDiffers => format!("the log ends at entry {seq}, but its head tells of another end"),
        Wrong::NotAsExpected => format!("entry {seq} is not the one whose hash was kept"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_read_as_it_is_printed() {
        let text = format!("shop:17:{}", "0a".repeat(32));
        for text in [&text, &text.replace("shop", "")] {
            let read = point(text).unwrap();
            assert_eq!(printed(&read.tenant, &read.head), *text);
        }
        let zeros = "0".repeat(64);
        for bad in [
            "",
            "shop",
            "shop:1",
            "shop:1:ab",
            &format!("shop:0:{zeros}"),
            &format!("shop:x:{zeros}"),
            &format!("{text}:1"),
        ] {
            assert!(point(bad).is_err(), "{bad}");
        }
    }
}
