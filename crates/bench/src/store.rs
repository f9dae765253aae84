//! What the bench asks of the database itself, as its superuser: tables emptied and filled by the hundred thousand, which HTTP would
//! take minutes for; and counts that nobody who is measured has made.

use anyhow::Context;
use load::scenario::Scenario;
use load::setup::Tenant;
use tokio_postgres::{Client, Error};
use uuid::Uuid;

const RESET: &str = "TRUNCATE ingest.events_raw, ingest.event_keys, ingest.outbox, ingest.dead_letters, \
     evaluator.workflow_goal_achievements, evaluator.scheduled_actions, evaluator.enrollments, evaluator.outbox, \
     evaluator.dead_letters, goals.goals, goals.workflows, goals.directory, goals.outbox, goals.dead_letters; \
     UPDATE goals.epochs SET epoch = epoch + 1; CHECKPOINT";

/// Empties everything but tenants and their secrets, so that no row depends on those before it.
#[expect(clippy::disallowed_methods, reason = "statements of one text each, no transaction")]
pub async fn reset(client: &Client) -> Result<(), Error> {
    for statement in RESET.split(';') {
        client.batch_execute(statement).await?;
    }
    Ok(())
}

const ADD_WORKFLOWS: &str = "INSERT INTO goals.workflows (tenant_id, id, name, status, activated_at, created_by) \
     SELECT $1, w.id, 'Workflow ' || w.id, 'active', now(), 'bench' FROM unnest($2::uuid[]) AS w (id)";

const ADD_GOALS: &str = "INSERT INTO goals.goals (tenant_id, id, workflow_id, goal_type, event_name, criteria, criteria_hash, position, \
     created_by, effective_from) \
     SELECT $1, gen_random_uuid(), g.workflow_id, g.goal_type, CASE g.goal_type WHEN 'purchase_made' THEN 'payment.completed' \
     WHEN 'tag_added' THEN 'contact.tag.added' ELSE 'form.submitted' END, g.criteria::jsonb, \
     sha256(convert_to(g.goal_type || g.criteria, 'UTF8')), g.position, 'bench', now() \
     FROM unnest($2::uuid[], $3::text[], $4::text[], $5::smallint[]) AS g (workflow_id, goal_type, criteria, position)";

const ENROLL: &str = "INSERT INTO evaluator.enrollments (tenant_id, id, workflow_id, contact_id, enrolled_at, created_at) \
     SELECT $1, e.id, ($2::uuid[])[1 + ((($4::bigint + e.n - 1)) % cardinality($2::uuid[]))::integer], 'c-' || ($4 + e.n - 1), \
     now() - interval '1 day', now() FROM unnest($3::uuid[]) WITH ORDINALITY AS e (id, n)";

const SETTLE: [&str; 4] = [
    "UPDATE goals.epochs SET epoch = epoch + 1",
    "VACUUM ANALYZE goals.goals, goals.workflows, evaluator.enrollments, evaluator.workflow_goal_achievements",
    "ANALYZE ingest.events_raw, ingest.event_keys",
    "CHECKPOINT",
];

/// Enrollments of one statement.
const CHUNK: u64 = 20_000;

/// Empties the tables and fills in the scenario, in these tenants.
#[expect(clippy::disallowed_methods, reason = "statements of one text each, no transaction")]
pub async fn prepare(client: &Client, tenants: &[Tenant], scenario: Scenario) -> anyhow::Result<()> {
    reset(client).await?;
    for tenant in tenants {
        let name = tenant.id.as_str();
        let workflows = ids(scenario.workflows);
        client.execute(ADD_WORKFLOWS, &[&name, &workflows]).await?;
        let (mut of, mut types, mut criteria, mut positions) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for (number, workflow) in (0..).zip(&workflows) {
            for (position, (goal_type, text)) in (1_i16..).zip(Scenario::goals(number)) {
                of.push(*workflow);
                types.push(goal_type);
                criteria.push(text);
                positions.push(position);
            }
        }
        client.execute(ADD_GOALS, &[&name, &of, &types, &criteria, &positions]).await?;
        let mut first = 0;
        while first < scenario.enrollments {
            let chunk = ids(CHUNK.min(scenario.enrollments - first));
            client.execute(ENROLL, &[&name, &workflows, &chunk, &i64::try_from(first)?]).await?;
            first += CHUNK;
        }
    }
    for statement in SETTLE {
        client.batch_execute(statement).await?;
    }
    Ok(())
}

// Every contact's events lie apart, as they do when all contacts act at the same time.
const STORE: &str = "INSERT INTO ingest.events_raw (tenant_id, received_at, event_id, event_name, event_time, occurred_at, time_clamped, \
     contact_id, properties) \
     SELECT $1, now(), gen_random_uuid(), 'payment.completed', t.at, t.at, false, 'c-' || t.n % $2, \
     jsonb_build_object('amount', CASE WHEN abs(hashint8(t.n)::bigint) % 1000 = 0 THEN 150.00 ELSE 19.90 END, 'currency', 'USD', \
     'product_id', 'p-' || t.n % 50) \
     FROM (SELECT n, now() - interval '20 hours' + n * interval '50 ms' AS at FROM generate_series($3::bigint, $4) AS n) AS t";

const MEETING: &str = "SELECT w.id, (SELECT count(DISTINCT e.contact_id) FROM ingest.events_raw e WHERE e.tenant_id = w.tenant_id \
     AND (e.properties ->> 'amount')::numeric >= 100) FROM goals.workflows w WHERE w.tenant_id = $1";

/// Stores so many purchases of so many contacts. The tenant's only workflow, and how many contacts have bought for 100 and more.
pub async fn stored(client: &Client, tenant: &Tenant, (contacts, events): (u64, u64)) -> anyhow::Result<(Uuid, u64)> {
    let (name, contacts) = (tenant.id.as_str(), i64::try_from(contacts)?);
    let mut first = 0;
    while first < events {
        let last = events.min(first + 10 * CHUNK) - 1;
        client.execute(STORE, &[&name, &contacts, &i64::try_from(first)?, &i64::try_from(last)?]).await?;
        first = last + 1;
    }
    for statement in ["VACUUM ANALYZE ingest.events_raw", "CHECKPOINT"] {
        settle(client, statement).await?;
    }
    let row = client.query_one(MEETING, &[&name]).await?;
    Ok((row.get(0), u64::try_from(row.get::<_, i64>(1))?))
}

const ACHIEVE: &str = "WITH done AS (UPDATE evaluator.enrollments e SET status = 'completed_goal', exit_reason = 'goal_achieved', \
     exited_at = now(), goal_reached_at = e.enrolled_at + abs(hashtext(e.contact_id)::bigint) % 800000 * interval '100 ms', \
     version = e.version + 1 WHERE e.tenant_id = $1 AND abs(hashtext(e.contact_id)::bigint) % 10 < 3 RETURNING e.*) \
     INSERT INTO evaluator.workflow_goal_achievements (tenant_id, id, workflow_id, enrollment_id, contact_id, goal_id, goal_type, \
     goal_version, event_id, event_name, achieved_at, recorded_at, criteria, trigger_event) \
     SELECT d.tenant_id, gen_random_uuid(), d.workflow_id, d.id, d.contact_id, g.id, g.goal_type, 1, gen_random_uuid(), g.event_name, \
     d.goal_reached_at, now(), g.criteria, '{}' FROM done d JOIN goals.goals g ON g.tenant_id = d.tenant_id \
     AND g.workflow_id = d.workflow_id AND g.position = 1 RETURNING workflow_id";

/// Lets three of ten enrollments of the tenant's only workflow reach its first goal. The workflow, and how many did.
pub async fn achieved(client: &Client, tenant: &Tenant) -> anyhow::Result<(Uuid, u64)> {
    let rows = client.query(ACHIEVE, &[&tenant.id.as_str()]).await?;
    for statement in ["VACUUM ANALYZE evaluator.enrollments, evaluator.workflow_goal_achievements", "CHECKPOINT"] {
        settle(client, statement).await?;
    }
    let workflow = rows.first().context("nobody reached a goal")?.get(0);
    Ok((workflow, u64::try_from(rows.len())?))
}

// One workflow of each tenant is paused. What it holds back lies on its own enrollments; the others have an action each, and those of
// all tenants come due in turn.
const PAUSE: &str = "UPDATE goals.workflows w SET status = 'paused' \
     WHERE w.id = (SELECT min(f.id::text)::uuid FROM goals.workflows f WHERE f.tenant_id = w.tenant_id)";

const HOLD: &str = "INSERT INTO evaluator.scheduled_actions (tenant_id, id, enrollment_id, action_type, scheduled_at, created_at, held_by) \
     SELECT w.tenant_id, gen_random_uuid(), e.id, 'send_email', now() - n * interval '1 s', now(), w.id \
     FROM goals.workflows w CROSS JOIN LATERAL (SELECT e.id FROM evaluator.enrollments e \
       WHERE e.tenant_id = w.tenant_id AND e.workflow_id = w.id LIMIT 1) AS e, generate_series(1, $1::bigint) AS n WHERE w.status = 'paused'";

const SCHEDULE: &str = "INSERT INTO evaluator.scheduled_actions (tenant_id, id, enrollment_id, action_type, scheduled_at, created_at, payload) \
     SELECT e.tenant_id, gen_random_uuid(), e.id, 'send_email', \
     now() + interval '5 s' + row_number() OVER (ORDER BY e.contact_id, e.tenant_id) * interval '1 s' / $1::float8, now(), \
     '{\"template\": \"welcome\"}' FROM evaluator.enrollments e JOIN goals.workflows w ON w.tenant_id = e.tenant_id \
     AND w.id = e.workflow_id AND w.status = 'active'";

/// Lets an action of each enrollment in an active workflow come due, so many a second and the first in five seconds; beside so many
/// of each tenant that a paused workflow holds back. How many come due.
pub async fn schedule(client: &Client, per_second: f64, held: u64) -> anyhow::Result<u64> {
    client.execute(PAUSE, &[]).await?;
    client.execute(HOLD, &[&i64::try_from(held)?]).await?;
    for statement in ["VACUUM ANALYZE evaluator.scheduled_actions", "CHECKPOINT"] {
        settle(client, statement).await?;
    }
    Ok(client.execute(SCHEDULE, &[&per_second]).await?)
}

const ANNOUNCED: &str = "SELECT count(*) FROM evaluator.scheduled_actions WHERE announced_at IS NOT NULL";

/// Actions that were announced.
pub async fn announced(client: &Client) -> anyhow::Result<u64> {
    Ok(u64::try_from(client.query_one(ANNOUNCED, &[]).await?.get::<_, i64>(0))?)
}

const KEEP: &str = "INSERT INTO goals.dead_letters (tenant_id, queue, routing_key, code, cause, attempts, payload) \
     VALUES ($1, 'goals.commands', 'put_reference', 'malformed_message', 'bench', 1, convert_to('[]', 'UTF8')) RETURNING id";

/// Keeps a dead letter; its number.
pub async fn keep_letter(client: &Client, tenant: &str) -> Result<i64, Error> {
    Ok(client.query_one(KEEP, &[&tenant]).await?.get(0))
}

#[expect(clippy::disallowed_methods, reason = "statements of one text each, no transaction")]
async fn settle(client: &Client, statement: &str) -> Result<(), Error> {
    client.batch_execute(statement).await
}

fn ids(count: u64) -> Vec<Uuid> {
    (0..count).map(|_| Uuid::now_v7()).collect()
}

const COUNTS: &str = "SELECT (SELECT count(*) FROM ingest.events_raw), (SELECT count(*) FROM ingest.event_keys), \
     (SELECT count(*) FROM evaluator.enrollments WHERE status = 'completed_goal'), \
     (SELECT count(DISTINCT enrollment_id) FROM evaluator.workflow_goal_achievements), \
     (SELECT count(*) FROM ingest.dead_letters) + (SELECT count(*) FROM evaluator.dead_letters)";

/// What the tables hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counts {
    pub events: i64,
    pub keys: i64,
    pub completed: i64,
    pub achieved: i64,
    pub dead_letters: i64,
}

pub async fn counts(client: &Client) -> Result<Counts, Error> {
    let row = client.query_one(COUNTS, &[]).await?;
    Ok(Counts {
        events: row.get(0),
        keys: row.get(1),
        completed: row.get(2),
        achieved: row.get(3),
        dead_letters: row.get(4),
    })
}

const EVENT_BYTES: &str = "SELECT sum(pg_total_relation_size(c.oid))::bigint \
     FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
     WHERE n.nspname = 'ingest' AND c.relkind = 'r' AND (c.relname LIKE 'events\\_raw%' OR c.relname = 'event_keys')";

/// Bytes of the stored events: table, indexes, ledger with its index.
pub async fn event_bytes(client: &Client) -> Result<i64, Error> {
    Ok(client.query_one(EVENT_BYTES, &[]).await?.get(0))
}

const ACTIVE: &str = "SELECT e.id, e.workflow_id, e.contact_id FROM evaluator.enrollments e \
     WHERE e.tenant_id = $1 AND e.status = 'active' ORDER BY e.id LIMIT $2";

/// Active enrollments: their ids, workflows and contacts.
pub async fn active(client: &Client, tenant: &Tenant, limit: i64) -> Result<Vec<(Uuid, Uuid, String)>, Error> {
    let rows = client.query(ACTIVE, &[&tenant.id.as_str(), &limit]).await?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect())
}

/// What the floors write: the statements that the services have, each as they have it.
pub mod floor {
    pub const ENTER: &str = "SELECT set_config('app.tenant_id', $1, true)";

    pub const KEYS: &str = "INSERT INTO ingest.event_keys (received_at, event_id, content_hash, tenant_id) \
         SELECT now(), k.event_id, k.content_hash, $1 FROM unnest($2::uuid[], $3::bytea[]) AS k (event_id, content_hash) \
         ON CONFLICT DO NOTHING";

    pub const EVENTS: &str = "INSERT INTO ingest.events_raw (tenant_id, received_at, event_id, event_name, event_time, occurred_at, \
         time_clamped, contact_id, properties) \
         SELECT $1, now(), e.event_id, e.event_name, now(), now(), false, e.contact_id, e.properties::jsonb \
         FROM unnest($2::uuid[], $3::text[], $4::text[], $5::text[]) AS e (event_id, event_name, contact_id, properties)";

    /// `not_before` keeps the relay from them: it is to be idle meanwhile.
    pub const OUTBOX: &str = "INSERT INTO ingest.outbox (tenant_id, exchange, routing_key, mandatory, message_id, content_type, payload, \
         not_before) SELECT $1, 'goalpost.events', 'events.stored', true, m.id, 'application/json', m.payload, 'infinity' \
         FROM unnest($2::uuid[], $3::bytea[]) AS m (id, payload)";

    pub const LOCK: &str = "SELECT e.id FROM evaluator.enrollments e \
         WHERE e.tenant_id = $1 AND e.id = ANY($2::uuid[]) AND e.exited_at IS NULL ORDER BY e.id FOR UPDATE";

    pub const EXIT: &str = "UPDATE evaluator.enrollments e SET status = 'completed_goal', exit_reason = 'goal_achieved', \
         exited_at = now(), goal_reached_at = now(), version = e.version + 1 \
         WHERE e.tenant_id = $1 AND e.id = ANY($2::uuid[]) AND e.exited_at IS NULL";

    pub const ACHIEVED: &str = "INSERT INTO evaluator.workflow_goal_achievements (tenant_id, id, workflow_id, enrollment_id, contact_id, \
         goal_id, goal_type, goal_version, event_id, event_name, achieved_at, recorded_at, criteria, trigger_event) \
         SELECT $1, gen_random_uuid(), n.workflow_id, n.enrollment_id, n.contact_id, n.workflow_id, 'purchase_made', 1, \
         gen_random_uuid(), 'payment.completed', now(), now(), '{\"product_ids\": [\"p-1\"]}'::jsonb, \
         '{\"amount\": 49.90, \"currency\": \"USD\", \"product_id\": \"p-1\"}'::jsonb \
         FROM unnest($2::uuid[], $3::uuid[], $4::text[]) AS n (enrollment_id, workflow_id, contact_id) \
         ON CONFLICT (tenant_id, enrollment_id, goal_id) DO NOTHING";

    /// Two facts of each exit: the achievement, and the exit.
    pub const FACTS: &str = "INSERT INTO evaluator.outbox (tenant_id, exchange, routing_key, mandatory, message_id, content_type, payload, \
         not_before) SELECT $1, 'goalpost.workflow', 'workflow.exit.goal', false, gen_random_uuid(), 'application/json', $3, 'infinity' \
         FROM unnest($2::uuid[]) AS e (id), generate_series(1, 2)";
}
