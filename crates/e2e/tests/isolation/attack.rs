//! The attack: every role reads and writes every relation it can reach, in every context, own rows first.

use crate::catalogue::{Grants, Kind, ROLES, Relation, SYSTEM_ONLY};
use crate::settling::settling;
use std::collections::BTreeSet;
use tokio_postgres::{Client, SimpleQueryMessage};

/// What `app.tenant_id` may be in an attacker's transaction, and whose rows that opens.
const CONTEXTS: [(Option<&str>, Option<&str>); 6] = [
    (None, None),
    (Some("a"), Some("a")),
    (Some("b"), Some("b")),
    (Some(""), None),
    (Some("zz"), None),
    (Some("a' OR 'a' = 'a"), None),
];

/// Everything that was seen or done and should not have been, or was not seen and should have been.
pub async fn attack(client: &Client, relations: &[Relation], grants: &Grants) -> Vec<String> {
    let mut violations = Vec::new();
    for (role, kind) in *ROLES {
        for relation in relations {
            let target = Target { client, role, kind, relation };
            for (context, tenant) in CONTEXTS {
                if grants.has(role, &relation.name, "SELECT") {
                    violations.extend(target.read(context, tenant).await);
                }
            }
            if kind == Kind::System && !relation.is_view && grants.has(role, &relation.name, "INSERT") {
                violations.extend(target.write_as_system().await);
            }
            for privilege in ["INSERT", "UPDATE", "DELETE"] {
                if grants.has(role, &relation.name, privilege) && kind == Kind::Tenant && !relation.is_view {
                    violations.extend(target.write(privilege, grants.has(role, &relation.name, "SELECT")).await);
                }
            }
        }
    }
    violations.extend(settling(client, relations).await);
    violations
}

struct Target<'a> {
    client: &'a Client,
    role: &'a str,
    kind: Kind,
    relation: &'a Relation,
}

impl Target<'_> {
    async fn read(&self, context: Option<&str>, tenant: Option<&str>) -> Option<String> {
        let name = &self.relation.name;
        let seen = self.as_attacker(context, &format!("SELECT DISTINCT tenant_id FROM {name} ORDER BY 1")).await;
        let both = || BTreeSet::from(["a".to_owned(), "b".to_owned()]);
        let one = |tenant: &str| BTreeSet::from([tenant.to_owned()]);
        // The installation's own log is nobody's but the system login's.
        let installation = (*name == "goals.audit_heads").then(String::new);
        let expected = match self.kind {
            Kind::System => both().into_iter().chain(installation).collect(),
            Kind::Reader => one("a"),
            Kind::Tenant => tenant.map(one).unwrap_or_default(),
        };
        let closed_to_owner = SYSTEM_ONLY.contains(&name.as_str()) || *name == "reporting.readers";
        let expected = if self.role == "goalpost_owner" && (closed_to_owner || self.owner_reads_none()) {
            BTreeSet::new()
        } else {
            expected
        };
        let expected =
            if self.role == "goalpost_partitions" && *name == "reporting.readers" { BTreeSet::new() } else { expected };
        match seen {
            Ok(seen) if seen.iter().cloned().collect::<BTreeSet<_>>() == expected => None,
            Ok(seen) => {
                Some(format!("{} with app.tenant_id {context:?} reads {name}: {seen:?}, not {expected:?}", self.role))
            }
            Err(code) => {
                Some(format!("{} with app.tenant_id {context:?} reads {name}: refused with {code}", self.role))
            }
        }
    }

    /// The owner of a table that only its service's logins are let into: outboxes, and what needs no view.
    fn owner_reads_none(&self) -> bool {
        [".outbox", ".answers"].iter().any(|table| self.relation.name.ends_with(table))
    }

    /// A system login does write where it was let in.
    async fn write_as_system(&self) -> Option<String> {
        let outcome = self.as_attacker(None, &self.insert_copy("a").await).await;
        let refused = matches!(&outcome, Err(code) if code == "42501");
        refused.then(|| format!("{} may not insert into {}", self.role, self.relation.name))
    }

    async fn write(&self, privilege: &str, may_read: bool) -> Vec<String> {
        let name = &self.relation.name;
        let mut violations = Vec::new();
        let mut expect =
            |what: &str, outcome: Result<Vec<String>, String>, good: fn(&Result<Vec<String>, String>) -> bool| {
                if !good(&outcome) {
                    violations.push(format!("{} {what} {name}: {outcome:?}", self.role));
                }
            };
        let refused: fn(&Result<Vec<String>, String>) -> bool =
            |outcome| matches!(outcome, Err(code) if code == "42501");
        let nothing: fn(&Result<Vec<String>, String>) -> bool =
            |outcome| matches!(outcome, Ok(rows) if rows.is_empty());
        let owner_shut_out = self.role == "goalpost_owner";
        match privilege {
            "INSERT" => {
                let foreign = self.insert_copy("b").await;
                expect("inserts a row of b as a into", self.as_attacker(Some("a"), &foreign).await, refused);
                expect(
                    "inserts a row of a without a tenant into",
                    self.as_attacker(None, &self.insert_copy("a").await).await,
                    refused,
                );
                if !owner_shut_out {
                    let own = self.as_attacker(Some("a"), &self.insert_copy("a").await).await;
                    expect("inserts its own row into", own, |outcome| !matches!(outcome, Err(code) if code == "42501"));
                }
            }
            "UPDATE" if may_read && !owner_shut_out => {
                let touch =
                    format!("UPDATE {name} SET tenant_id = tenant_id WHERE tenant_id = 'b' RETURNING tenant_id");
                expect("updates rows of b in", self.as_attacker(Some("a"), &touch).await, nothing);
                let give = format!("UPDATE {name} SET tenant_id = 'b' RETURNING tenant_id");
                expect("gives its rows to b in", self.as_attacker(Some("a"), &give).await, refused);
            }
            "DELETE" if may_read && !owner_shut_out => {
                let remove = format!("DELETE FROM {name} WHERE tenant_id = 'b' RETURNING tenant_id");
                expect("deletes rows of b in", self.as_attacker(Some("a"), &remove).await, nothing);
            }
            _ => {}
        }
        violations
    }

    /// An INSERT of a row of `tenant` as it stands in the table.
    async fn insert_copy(&self, tenant: &str) -> String {
        let name = &self.relation.name;
        let row = format!("SELECT to_jsonb(t)::text FROM {name} t WHERE tenant_id = '{tenant}' LIMIT 1");
        let row: String = self.client.query_one(&row, &[]).await.unwrap().get(0);
        let row = row.replace('\'', "''");
        format!("INSERT INTO {name} OVERRIDING SYSTEM VALUE SELECT * FROM jsonb_populate_record(NULL::{name}, '{row}')")
    }

    async fn as_attacker(&self, context: Option<&str>, sql: &str) -> Result<Vec<String>, String> {
        let context = context
            .map_or(String::new(), |tenant| format!("SET LOCAL app.tenant_id = '{}';", tenant.replace('\'', "''")));
        as_role(self.client, self.role, &format!("{context} {sql}")).await
    }
}

/// Runs statements as the role, in their own subtransaction, and undoes them: the first column of their rows, or the SQLSTATE.
pub async fn as_role(client: &Client, role: &str, sql: &str) -> Result<Vec<String>, String> {
    let script =
        format!("SAVEPOINT probe; SET LOCAL SESSION AUTHORIZATION {role}; {sql}; ROLLBACK TO probe; RELEASE probe");
    match client.simple_query(&script).await {
        Ok(messages) => Ok(messages
            .into_iter()
            .filter_map(|message| match message {
                SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
                _ => None,
            })
            .collect()),
        Err(error) => {
            client.batch_execute("ROLLBACK TO probe; RELEASE probe").await.unwrap();
            Err(error.code().map_or_else(|| error.to_string(), |code| code.code().to_owned()))
        }
    }
}
