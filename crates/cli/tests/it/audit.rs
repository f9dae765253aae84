//! `goalpost audit verify`: whatever is done to the log is found, where it was done; a log that nobody touched is not complained of.

use std::collections::BTreeSet;

use pg::migrate::MIGRATIONS;
use serde_json::{Value, json};
use testkit::Database;
use tokio_postgres::Client;

use crate::operator::{Said, goalpost};

const ENTRIES: i64 = 10_000;

/// Tenant `t` with 10,000 entries, as the service adds them: some in one transaction, some with an object, some without.
async fn filled(database: &Database, tenants: &[(&str, i64)]) -> Client {
    let client = database.superuser().await.unwrap();
    for (tenant, entries) in tenants {
        let insert = "INSERT INTO platform.tenants (tenant_id, content_key) VALUES ($1, sha256('x'))";
        client.execute(insert, &[tenant]).await.unwrap();
        add(&client, tenant, *entries).await;
    }
    client
}

async fn add(client: &Client, tenant: &str, entries: i64) {
    let statement = "INSERT INTO goals.audit (tenant_id, actor, action, object_type, object_id, before, after) \
         SELECT $1, 'key:' || n, 'goal.updated', 'goal', 'g' || n % 7, CASE WHEN n % 3 > 0 THEN json_build_object('version', n) END, \
         CASE WHEN n % 5 > 0 THEN json_build_object('name', 'Zoë', 'amount', 100.00, 'version', n + 1) END \
         FROM generate_series($2::bigint, least($2 + 199, $3)) n";
    for first in (1..=entries).step_by(200) {
        client.execute(statement, &[&tenant, &first, &entries]).await.unwrap();
    }
}

fn verify(database: &Database, args: &[&str]) -> (Said, Value) {
    let said = goalpost(&database.url("goalpost_backup"), &[&["audit", "verify", "--json"], args].concat());
    let found = serde_json::from_str(&said.out).unwrap_or_else(|_| panic!("{}", said.err));
    (said, found)
}

/// What was found, as `tenant seq code`.
fn wrong(database: &Database, args: &[&str]) -> BTreeSet<String> {
    let (said, found) = verify(database, args);
    let items = found["wrong"].as_array().unwrap();
    assert_eq!((said.code, found["wrong_total"].as_u64()), (i32::from(!items.is_empty()), Some(items.len() as u64)));
    let text = |item: &Value, key: &str| item[key].as_str().unwrap().to_owned();
    items.iter().map(|it| format!("{} {} {}", text(it, "tenant_id"), it["seq"], text(it, "code"))).collect()
}

fn set<const N: usize>(items: [&str; N]) -> BTreeSet<String> {
    items.map(str::to_owned).into()
}

/// What may be done to one column, so that nothing but the hash tells.
const COLUMNS: [(&str, &str); 11] = [
    ("at", "at + interval '1 us'"),
    ("at", "'infinity'"),
    ("actor", "actor || ' '"),
    ("action", "'goal.deleted'"),
    ("object_type", "upper(object_type)"),
    ("object_id", "object_id || '0'"),
    ("before", "coalesce(before::text || ' ', '{}')::json"),
    ("after", "replace(coalesce(after::text, '[]'), '100.00', '100.01')::json"),
    ("after", "CASE WHEN after IS NULL THEN 'null'::json END"),
    ("prev_hash", "sha256(prev_hash)"),
    ("hash", "set_byte(hash, 31, get_byte(hash, 31) # 1)"),
];

#[tokio::test]
async fn every_change_of_ten_thousand_entries_is_found_where_it_was_made() {
    let database = Database::create().await.unwrap();
    let client = filled(&database, &[("other", 3), ("t", ENTRIES)]).await;
    let (said, found) = verify(&database, &[]);
    assert_eq!((said.code, &found["entries"], &found["wrong"]), (0, &json!(ENTRIES + 3), &json!([])), "{}", said.err);

    // The columns are all there are: one that is added must be hashed, and be changed here.
    let columns =
        "SELECT attname::text FROM pg_attribute WHERE attrelid = 'goals.audit'::regclass AND attnum > 0 ORDER BY 1";
    let columns: BTreeSet<String> = client.query(columns, &[]).await.unwrap().iter().map(|row| row.get(0)).collect();
    let changed: BTreeSet<String> = COLUMNS.iter().map(|(column, _)| (*column).to_owned()).collect();
    assert_eq!(&columns - &changed, set(["id", "seq", "tenant_id"]), "each of them is moved below");

    // Each change by itself, sampled over the chain, all told in one run.
    let mut expected = BTreeSet::new();
    for (number, (column, value)) in (0_i64..).zip(COLUMNS) {
        for seq in [2 + 10 * number, 5_000 + 10 * number, ENTRIES - 2 - 10 * number] {
            let statement = format!("UPDATE goals.audit SET {column} = {value} WHERE tenant_id = 't' AND seq = $1");
            assert_eq!(client.execute(&statement, &[&seq]).await.unwrap(), 1);
            expected.insert(format!("t {seq} altered"));
            if column == "prev_hash" {
                expected.insert(format!("t {seq} unlinked"));
            }
            if column == "hash" {
                expected.insert(format!("t {} unlinked", seq + 1));
            }
        }
    }
    let moved = "UPDATE goals.audit SET id = -id WHERE tenant_id = 't' AND seq = 3003";
    client.execute(moved, &[]).await.unwrap_err();
    client.execute(&moved.replace("id = -id", "id = DEFAULT"), &[]).await.unwrap();
    expected.insert("t 3003 altered".to_owned());
    assert_eq!(wrong(&database, &[]), expected);
    assert_eq!(wrong(&database, &["--tenant", "other"]), set([]));
    assert_eq!(wrong(&database, &["--tenant", "t"]), expected);
}

#[tokio::test]
async fn what_is_removed_moved_or_put_in_between_is_found() {
    let database = Database::create().await.unwrap();
    let chains = ["first", "middle", "last", "tail", "all", "swap", "numbers", "in", "copy", "given", "rehash", "head"];
    let client = filled(&database, &chains.map(|tenant| (tenant, 40))).await;
    assert_eq!(wrong(&database, &[]), set([]));
    for statement in [
        "DELETE FROM goals.audit WHERE tenant_id = 'first' AND seq = 1",
        "DELETE FROM goals.audit WHERE tenant_id = 'middle' AND seq BETWEEN 20 AND 22",
        "DELETE FROM goals.audit WHERE tenant_id = 'last' AND seq = 40",
        "DELETE FROM goals.audit WHERE tenant_id = 'tail' AND seq > 30",
        "DELETE FROM goals.audit WHERE tenant_id = 'all'",
        // Two change places: what they say, or their numbers.
        "UPDATE goals.audit a SET actor = b.actor, before = b.before, after = b.after, object_id = b.object_id FROM goals.audit b
         WHERE a.tenant_id = 'swap' AND b.tenant_id = 'swap' AND a.seq IN (10, 30) AND b.seq = 40 - a.seq",
        "ALTER TABLE goals.audit DROP CONSTRAINT audit_seq",
        "UPDATE goals.audit SET seq = 41 - seq WHERE tenant_id = 'numbers' AND seq IN (20, 21)",
        // One more, behind the back of the trigger: in between, as a copy, and from another tenant.
        "ALTER TABLE goals.audit DISABLE TRIGGER chain",
        "INSERT INTO goals.audit (tenant_id, actor, action, object_type, object_id, seq, prev_hash, hash)
         SELECT 'in', 'x', 'goal.created', 'goal', 'g', 41, hash, hash FROM goals.audit WHERE tenant_id = 'in' AND seq = 40",
        "INSERT INTO goals.audit (tenant_id, at, actor, action, object_type, object_id, before, after, seq, prev_hash, hash)
         SELECT tenant_id, at, actor, action, object_type, object_id, before, after, seq, prev_hash, hash
         FROM goals.audit WHERE tenant_id = 'copy' AND seq = 7",
        "UPDATE goals.audit SET tenant_id = 'given' WHERE tenant_id = 'first' AND seq = 2",
        // Rewritten with a hash that is right.
        "UPDATE goals.audit SET actor = 'x' WHERE tenant_id = 'rehash' AND seq IN (9, 40)",
        "UPDATE goals.audit a SET hash = goals.audit_hash(a) WHERE tenant_id = 'rehash' AND seq IN (9, 40)",
        "DELETE FROM goals.audit_heads WHERE tenant_id = 'head'",
    ] {
        assert!(client.execute(statement, &[]).await.unwrap() < 12 || statement.contains("'all'"), "{statement}");
    }
    let found = wrong(&database, &[]);
    let expected = [
        "first 1 missing",
        "middle 20 missing",
        "last 40 missing",
        "tail 31 missing",
        "all 1 missing",
        "swap 10 altered",
        "swap 30 altered",
        "numbers 20 altered",
        "numbers 20 unlinked",
        "numbers 21 altered",
        "numbers 21 unlinked",
        "numbers 22 unlinked",
        "in 41 altered",
        "in 41 head_differs",
        "copy 7 altered",
        "copy 7 out_of_order",
        "given 2 altered",
        "given 2 unlinked",
        "given 2 out_of_order",
        "rehash 10 unlinked",
        "rehash 40 head_differs",
        "head 40 head_missing",
    ];
    assert_eq!(found, set(expected));
}

#[tokio::test]
async fn a_head_that_was_kept_elsewhere_finds_a_log_that_was_cut_off_with_its_head() {
    let database = Database::create().await.unwrap();
    let client = filled(&database, &[("a", 10), ("b", 10)]).await;
    let (_, found) = verify(&database, &[]);
    let heads: Vec<&str> = found["tenants"].as_array().unwrap().iter().map(|it| it["head"].as_str().unwrap()).collect();
    assert!(heads[0].starts_with("a:10:") && heads[1].starts_with("b:10:"), "{heads:?}");
    let kept = ["--expect", heads[0], "--expect", heads[1]];
    add(&client, "a", 5).await;
    assert_eq!(wrong(&database, &kept), set([]), "a log may grow");

    // Cut off together with the head, and written anew from there.
    for statement in [
        "DELETE FROM goals.audit WHERE tenant_id = 'a' AND seq > 8",
        "UPDATE goals.audit_heads h SET seq = 8, hash = a.hash FROM goals.audit a
         WHERE h.tenant_id = 'a' AND a.tenant_id = 'a' AND a.seq = 8",
        "DELETE FROM goals.audit WHERE tenant_id = 'b'",
        "DELETE FROM goals.audit_heads WHERE tenant_id = 'b'",
    ] {
        client.execute(statement, &[]).await.unwrap();
    }
    assert_eq!(wrong(&database, &[]), set([]), "nothing in the database tells");
    assert_eq!(wrong(&database, &kept), set(["a 9 missing", "b 1 missing"]));
    add(&client, "a", 5).await;
    assert_eq!(wrong(&database, &kept), set(["a 10 not_as_expected", "b 1 missing"]));
    let refused = goalpost(&database.superuser_url(), &["audit", "verify", "--expect", "a:10:00"]);
    assert!(refused.code == 2 && refused.err.contains("TENANT:SEQ:HASH"), "{}", refused.err);
    let unknown = goalpost(&database.superuser_url(), &["audit", "verify", "--tenant", "nobody"]);
    assert!(unknown.code == 1 && unknown.err.contains("no tenant nobody"), "{}", unknown.err);
}

/// A login that is shown no row must not be told that all is well.
#[tokio::test]
async fn a_login_that_does_not_see_every_row_is_refused() {
    let database = Database::create().await.unwrap();
    filled(&database, &[("a", 1)]).await;
    for login in ["goalpost_goals", "goalpost_goals_system", "goalpost_evaluator"] {
        let said = goalpost(&database.url(login), &["audit", "verify"]);
        assert!(said.code == 1 && said.err.contains("goalpost_backup"), "{login}: {}", said.err);
    }
    let people = goalpost(&database.superuser_url(), &["audit", "verify"]);
    assert!(people.code == 0 && people.out.contains("1 entries, 0 wrong."), "{}{}", people.out, people.err);
}

/// The table as it was before, with rows: they become the beginning of the chains.
const BEFORE: [&str; 8] = [
    "DROP TRIGGER chain ON goals.audit",
    "DROP FUNCTION goals.chain_audit",
    "DROP FUNCTION goals.audit_hash",
    "DROP FUNCTION goals.audit_field",
    "DROP TABLE goals.audit_heads",
    "ALTER TABLE goals.audit DROP COLUMN seq, DROP COLUMN prev_hash, DROP COLUMN hash, \
     ALTER COLUMN before TYPE jsonb USING before::jsonb, ALTER COLUMN after TYPE jsonb USING after::jsonb",
    "CREATE INDEX audit_object ON goals.audit (tenant_id, object_id, id DESC)",
    "INSERT INTO goals.audit (tenant_id, actor, action, object_type, object_id, after) \
     SELECT CASE WHEN n % 3 = 0 THEN 'a' ELSE 'b' END, 'x', 'goal.created', 'goal', 'g' || n, \
     jsonb_build_object('n', n, 'amount', 1.50) FROM generate_series(1, 300) n",
];

#[tokio::test]
async fn entries_from_before_the_chain_are_its_beginning() {
    let database = Database::create().await.unwrap();
    let client = filled(&database, &[("a", 0), ("b", 0), ("c", 0)]).await;
    for statement in BEFORE {
        client.execute(statement, &[]).await.unwrap_or_else(|error| panic!("{statement}: {error:?}"));
    }
    let goals = MIGRATIONS.iter().find(|(schema, _)| *schema == "goals").unwrap().1;
    let (_, chaining) = goals.iter().find(|(name, _)| name.ends_with("chain_audit")).unwrap();
    #[expect(clippy::disallowed_methods, reason = "a migration, as it is run")]
    client.batch_execute(&format!("BEGIN; SET LOCAL ROLE goalpost_owner; {chaining}; COMMIT")).await.unwrap();
    add(&client, "a", 2).await;
    // As a service of the version before adds an entry.
    let old = "INSERT INTO goals.audit (tenant_id, actor, action, object_type, object_id, after) \
               SELECT 'b', 'x', 'goal.deleted', 'goal', 'g', '{\"n\": 1}'::jsonb";
    client.execute(old, &[]).await.unwrap();
    let (said, found) = verify(&database, &[]);
    let heads = found["tenants"].as_array().unwrap().iter().map(|it| (it["tenant_id"].clone(), it["seq"].clone()));
    let heads: Vec<_> = heads.collect();
    assert_eq!(heads, [(json!("a"), json!(102)), (json!("b"), json!(201))], "{}", said.err);
    assert_eq!(found["wrong"], json!([]));
    let order =
        "SELECT count(*) FROM goals.audit a JOIN goals.audit b USING (tenant_id) WHERE a.id < b.id AND a.seq > b.seq";
    assert_eq!(client.query_one(order, &[]).await.unwrap().get::<_, i64>(0), 0);
}
