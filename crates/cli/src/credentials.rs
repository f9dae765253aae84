//! What `goalpost token` and `goalpost key` have in common: a secret is made and shown once, listed without it, revoked.

use anyhow::{Context, anyhow};
use comfy_table::{Table as Lines, presets};
use domain::ids::TenantId;
use domain::time_format;
use goals::bootstrap::{Credential, Issued, Table, issued, revoke as revoke_of_tenant};
use pg::Db;
use serde_json::json;

use crate::output::OutputArgs;

/// What went wrong in the goals service's code, with what to do next.
pub fn advice(error: goals::Error) -> anyhow::Error {
    let next = match error.code() {
        "not_found" => {
            "there is no such tenant or credential: see `goalpost tenant list` and the list of its credentials"
        }
        "too_many_live_tokens" => "see `goalpost token list`, and revoke one with `goalpost token revoke`",
        "database_unavailable" => "is the database up, and are user and password right?",
        "internal" => {
            "is the database migrated (`goalpost migrate`), and is the login goalpost_goals_system or a superuser?"
        }
        _ => "nothing was changed",
    };
    let code = error.code();
    anyhow!("{:#} ({code}): {next}", anyhow!(error))
}

/// Shows a secret, for the only time. `field` is its name in JSON: `token` or `key`.
pub fn show(issued: &Issued, field: &str, output: OutputArgs) -> anyhow::Result<()> {
    let said = json!({"id": issued.id, field: issued.secret});
    output.print(&said, || {
        println!("{}", issued.secret);
        eprintln!("This is the only time that it is shown. Its id is {}.", issued.id);
    })
}

/// Lists those of a tenant.
pub async fn list(db: &Db, tenant: &TenantId, table: Table, output: OutputArgs) -> anyhow::Result<()> {
    let all = issued(db, tenant, table).await.map_err(advice)?;
    print(&all, output)
}

/// Prints credentials.
pub fn print(all: &[Credential], output: OutputArgs) -> anyhow::Result<()> {
    output.print(&json!({"items": all}), || {
        let mut lines = Lines::new();
        lines.load_style(presets::UTF8_BORDERS_ONLY).set_header(["id", "", "created", "by", "expires", "revoked"]);
        let time = |at: Option<_>| at.map(time_format::to_text).unwrap_or_default();
        for one in all {
            lines.add_row([
                one.id.clone(),
                one.grants.word().to_owned(),
                time_format::to_text(one.created_at),
                one.created_by.clone(),
                time(one.expires_at),
                time(one.revoked_at),
            ]);
        }
        println!("{lines}");
    })
}

/// Revokes one of a tenant.
pub async fn revoke(db: &Db, tenant: &TenantId, table: Table, id: &str, output: OutputArgs) -> anyhow::Result<()> {
    revoke_of_tenant(db, tenant, table, id).await.map_err(advice)?;
    say_revoked(id, output)
}

/// Says that it is done.
pub fn say_revoked(id: &str, output: OutputArgs) -> anyhow::Result<()> {
    output.print(&json!({"id": id, "revoked": true}), || {
        println!("{id} is revoked. Services may take it for 5 s more.");
    })
}

/// Reads a tenant's id from the command line.
pub fn tenant_id(text: &str) -> anyhow::Result<TenantId> {
    TenantId::parse(text).context("a tenant's id is 1 to 64 letters, digits, `_` and `-`")
}
