//! The attack on what there is, and the attack on the attack: with any one protection gone, it must notice.

use crate::attack::attack;
use crate::catalogue::{Grants, Relation, relations};
use crate::structure::broken;
use tokio_postgres::Client;

#[tokio::test]
async fn no_role_crosses_a_tenant() {
    let (_database, client) = crate::arranged().await;
    let (relations, grants) = (relations(&client).await, Grants::read(&client).await);
    assert!(relations.len() > 25, "the catalogue was read");
    assert_eq!(attack(&client, &relations, &grants).await, Vec::<String>::new());
}

/// One protection taken away: the relation it stood on, and the statement.
struct Mutant {
    relation: String,
    statement: String,
    /// Whether only the rules of the catalogue can notice: nobody has a right by which the difference would show.
    latent: bool,
}

const POLICIES: &str = "SELECT p.polrelid::regclass::text, p.polname::text, p.polpermissive, p.polcmd::text, pg_get_expr(p.polqual, p.polrelid), \
     c.relispartition, \
     EXISTS (SELECT FROM unnest(p.polroles) AS role (oid) WHERE has_table_privilege(role.oid, c.oid, 'INSERT') AND c.relowner <> role.oid), \
     EXISTS (SELECT FROM unnest(p.polroles) AS role (oid) WHERE has_table_privilege(role.oid, c.oid, 'SELECT')) \
     FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid ORDER BY 1, 2";
const TABLES: &str = "SELECT c.oid::regclass::text, c.relispartition, pg_get_userbyid(c.relowner) = 'goalpost_partitions' FROM pg_class c \
     WHERE c.relforcerowsecurity ORDER BY 1";

async fn mutants(client: &Client) -> Vec<Mutant> {
    let mut mutants = Vec::new();
    for row in client.query(POLICIES, &[]).await.unwrap() {
        let (relation, policy): (String, String) = (row.get(0), row.get(1));
        let (permissive, is_partition, written, read): (bool, bool, bool, bool) =
            (row.get(2), row.get(5), row.get(6), row.get(7));
        let mut add =
            |statement: String, latent: bool| mutants.push(Mutant { relation: relation.clone(), statement, latent });
        // No role of a service has a right on a partition itself, so what its policies do for them never shows.
        let for_services = is_partition && policy != "system_rows";
        // The trigger of the audit log cannot take the head of another tenant's chain: a second lock on what is written.
        let written = written && relation != "goals.audit";
        add(format!("DROP POLICY {policy} ON {relation}"), for_services);
        if !permissive {
            add(format!("ALTER POLICY {policy} ON {relation} USING (true)"), for_services || !read);
            add(format!("ALTER POLICY {policy} ON {relation} WITH CHECK (true)"), for_services || !written);
            add(
                format!(
                    "ALTER POLICY {policy} ON {relation} USING (tenant_id IS NOT NULL) WITH CHECK (tenant_id IS NOT NULL)"
                ),
                for_services,
            );
        }
        if policy == "operator_requeues" {
            add(format!("ALTER POLICY {policy} ON {relation} WITH CHECK (true)"), false);
        }
        if policy.starts_with("reader") {
            // The map of readers is only ever asked for the login's own name, so its policy is a second lock.
            add(format!("ALTER POLICY {policy} ON {relation} USING (true)"), for_services || policy == "reader_self");
        }
    }
    for row in client.query(TABLES, &[]).await.unwrap() {
        let (relation, is_partition, of_partitions): (String, bool, bool) = (row.get(0), row.get(1), row.get(2));
        let mut add =
            |statement: String, latent: bool| mutants.push(Mutant { relation: relation.clone(), statement, latent });
        // The owner of partitions sees all rows of them anyway: it has to move them.
        add(format!("ALTER TABLE {relation} NO FORCE ROW LEVEL SECURITY"), of_partitions);
        add(format!("ALTER TABLE {relation} DISABLE ROW LEVEL SECURITY"), is_partition);
    }
    mutants
}

#[tokio::test]
async fn every_protection_is_missed_when_it_is_gone() {
    let (_database, client) = crate::arranged().await;
    let all = relations(&client).await;
    let mutants = mutants(&client).await;
    let (mut by_attack, mut by_rules, mut alive) = (0, 0, Vec::new());
    for mutant in &mutants {
        client.batch_execute(&format!("SAVEPOINT mutant; {}", mutant.statement)).await.unwrap();
        let near: Vec<Relation> = all.iter().filter(|r| r.is_view || r.name == mutant.relation).cloned().collect();
        let grants = Grants::read(&client).await;
        let noticed = !attack(&client, &near, &grants).await.is_empty();
        let ruled_out = !broken(&client).await.is_empty();
        client.batch_execute("ROLLBACK TO mutant; RELEASE mutant").await.unwrap();
        match (noticed, ruled_out, mutant.latent) {
            (true, _, _) => by_attack += 1,
            (false, true, true) => by_rules += 1,
            _ => alive.push(mutant.statement.clone()),
        }
    }
    println!("{} mutants: {by_attack} noticed by the attack, {by_rules} by the rules of the catalogue", mutants.len());
    assert_eq!(alive, Vec::<String>::new(), "protections whose loss nobody noticed");
    assert!(by_attack > 60 && by_attack > by_rules, "{by_attack} by attack, {by_rules} by rules");
}
