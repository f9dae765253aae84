//! While somebody goes on writing, every answer is the recount of a moment that there was: after the last change that had
//! been committed when it was asked for, and before the first that had not begun when it came.

use crate::oracle::{self, Change, Enrollment, Goal, History, Span, Workflow};
use crate::service::Service;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use serde_json::Value;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use time::macros::datetime;
use time::{Duration, OffsetDateTime};
use tokio_postgres::Client;
use uuid::Uuid;

const INSTANTS: usize = 1_000;
const BEGINNING: OffsetDateTime = datetime!(2026-01-01 00:00 UTC);
const TYPES: [&[&str]; 4] =
    [&["tag_added", "tag_added", "form_submitted"], &["purchase_made", "tag_added"], &["form_submitted"], &[]];

/// What was changed: begun before it is sent, done once it is committed.
#[derive(Default)]
struct Log {
    begun: Mutex<Vec<Change>>,
    done: AtomicUsize,
    end: AtomicBool,
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_equal_a_recount_at_a_thousand_instants_while_somebody_writes() {
    let seed = std::env::var("SEED").ok().map_or_else(rand::random, |seed| seed.parse().unwrap());
    println!("SEED={seed}");
    let mut rng = StdRng::seed_from_u64(seed);
    let service = Service::start_with(&[("GOALPOST__HTTP__RATE_LIMIT__PER_MINUTE", "0")]).await;
    let mut workflows = Vec::new();
    for types in TYPES {
        let id = service.workflow("a").await;
        let mut goals = Vec::new();
        for (position, goal_type) in (1..).zip(types) {
            goals.push(Goal { id: service.goal(id, goal_type, position).await, goal_type });
        }
        workflows.push(Workflow { id, goals });
    }
    let log = Arc::new(Log::default());
    let writer = service.database.superuser().await.unwrap();
    let writing = tokio::spawn(write(writer, workflows.clone(), Arc::clone(&log), rng.random()));

    let (mut history, mut applied, mut moved) = (History::default(), 0, 0);
    for instant in 0..INSTANTS {
        let span = span(&mut rng);
        let which = rng.random_range(0..=workflows.len());
        let before = log.done.load(SeqCst);
        let mut answer = ask(&service, workflows.get(which), span).await;
        let begun = log.begun.lock().unwrap()[applied..].to_vec();
        let recount = |history: &History| match workflows.get(which) {
            Some(_) => oracle::statistics(history, &workflows, which, span),
            None => oracle::ranking(history, &workflows, span).into(),
        };
        moved += usize::from(before > applied);
        for change in &begun[..before - applied] {
            history.apply(change);
        }
        let earliest = recount(&history);
        let (mut expected, mut then) = (earliest.clone(), None);
        let mut later = begun[before - applied..].iter();
        applied = before;
        forget_moment(&mut answer);
        while answer != expected {
            let Some(change) = later.next() else {
                panic!("SEED={seed}, instant {instant}, {span:?}: {answer}\nbefore it: {earliest}");
            };
            let then = then.get_or_insert_with(|| history.clone());
            then.apply(change);
            expected = recount(then);
        }
    }
    log.end.store(true, SeqCst);
    writing.await.unwrap();
    let (changes, enrollments) = (log.done.load(SeqCst), history.0.len());
    println!("{INSTANTS} instants, {changes} changes, {enrollments} enrollments");
    assert!(moved > INSTANTS / 2, "only between {moved} of the instants was anything written");
    service.stop().await;
}

/// Statistics of the workflow, or the ranking of all.
async fn ask(service: &Service, workflow: Option<&Workflow>, (from, to): Span) -> Value {
    let moment = |name: &str, at: Option<OffsetDateTime>| {
        at.map(|at| format!("&{name}={}", domain::time_format::to_text(at))).unwrap_or_default()
    };
    let query = format!("fresh=true{}{}", moment("from", from), moment("to", to));
    match workflow {
        Some(workflow) => service.stats(workflow.id, &query).await,
        None => {
            let path = format!("/api/v1/analytics/workflows?{query}");
            let (status, mut body) = service.get(&path, &service.tenant.viewer_key).await;
            assert_eq!(status, 200, "{body}");
            body["items"].take()
        }
    }
}

fn forget_moment(answer: &mut Value) {
    if let Some(answer) = answer.as_object_mut() {
        assert!(answer.remove("as_of").is_some());
    }
}

fn span(rng: &mut StdRng) -> Span {
    let mut moments = [moment(rng), moment(rng)];
    moments.sort_unstable();
    let [from, to] = moments.map(|moment| rng.random_bool(0.5).then_some(moment));
    (from, to)
}

fn moment(rng: &mut StdRng) -> OffsetDateTime {
    BEGINNING + Duration::seconds(rng.random_range(0..20 * 86_400))
}

/// Writes one random change after the other until the end: enrollments, achievements, exits and other ends.
async fn write(client: Client, workflows: Vec<Workflow>, log: Arc<Log>, seed: u64) {
    let mut rng = StdRng::seed_from_u64(seed);
    let (mut history, mut ids) = (History::default(), Vec::new());
    while !log.end.load(SeqCst) {
        let change = random(&mut rng, &history, &workflows);
        let sql = match &change {
            Change::Enroll(enrollment) => {
                ids.push(Uuid::now_v7());
                enroll(*ids.last().unwrap(), workflows[enrollment.workflow].id, enrollment.enrolled_at)
            }
            Change::Move(place, achieved, status) => {
                let enrollment = &history.0[*place];
                let mut sql = String::new();
                for (goal, at) in achieved {
                    sql += &achieve(ids[*place], &workflows[enrollment.workflow], *goal, *at);
                }
                let last = achieved.iter().chain(&enrollment.achieved).map(|(_, at)| *at).max();
                sql + &end(ids[*place], status, last)
            }
        };
        history.apply(&change);
        log.begun.lock().unwrap().push(change);
        // One simple query of several statements is one transaction.
        client.batch_execute(&sql).await.unwrap();
        log.done.fetch_add(1, SeqCst);
        // A few hundred changes a second: what is counted would grow without end else.
        tokio::time::sleep(std::time::Duration::from_millis(rng.random_range(1..5))).await;
    }
}

fn random(rng: &mut StdRng, history: &History, workflows: &[Workflow]) -> Change {
    let active: Vec<usize> =
        (0..history.0.len()).rev().filter(|place| history.0[*place].status == "active").take(50).collect();
    let Some(place) = active.choose(rng).copied().filter(|_| rng.random_bool(0.7) || history.0.len() > 2_000) else {
        let workflow = rng.random_range(0..workflows.len());
        return Change::Enroll(Enrollment {
            workflow,
            enrolled_at: moment(rng),
            status: "active",
            achieved: Vec::new(),
        });
    };
    let enrollment = &history.0[place];
    let goals = 0..workflows[enrollment.workflow].goals.len();
    let open: Vec<usize> = goals.filter(|goal| enrollment.achieved.iter().all(|(met, _)| met != goal)).collect();
    let mut met: Vec<(usize, OffsetDateTime)> = Vec::new();
    for goal in open {
        if rng.random_bool(0.4) {
            met.push((goal, enrollment.enrolled_at + Duration::seconds(rng.random_range(0..500_000))));
        }
    }
    let status = match rng.random_range(0..10) {
        0..4 if !(met.is_empty() && enrollment.achieved.is_empty()) => "completed_goal",
        4 => "completed",
        5 => "removed",
        6 => "failed",
        _ => "active",
    };
    Change::Move(place, met, status)
}

fn text(at: OffsetDateTime) -> String {
    domain::time_format::to_text(at)
}

fn enroll(id: Uuid, workflow: Uuid, at: OffsetDateTime) -> String {
    let at = text(at);
    format!(
        "INSERT INTO evaluator.enrollments (tenant_id, id, workflow_id, contact_id, enrolled_at, created_at) \
         VALUES ('a', '{id}', '{workflow}', '{id}', '{at}', now());"
    )
}

fn achieve(id: Uuid, workflow: &Workflow, goal: usize, at: OffsetDateTime) -> String {
    let (at, workflow_id, Goal { id: goal_id, goal_type }) = (text(at), workflow.id, &workflow.goals[goal]);
    format!(
        "INSERT INTO evaluator.workflow_goal_achievements (tenant_id, id, workflow_id, enrollment_id, contact_id, goal_id, goal_type, \
         goal_version, event_id, event_name, achieved_at, recorded_at, criteria, trigger_event) VALUES ('a', gen_random_uuid(), \
         '{workflow_id}', '{id}', '{id}', '{goal_id}', '{goal_type}', 1, gen_random_uuid(), 'x', '{at}', now(), '{{}}', '{{}}');"
    )
}

fn end(id: Uuid, status: &str, reached_at: Option<OffsetDateTime>) -> String {
    let (reason, reached_at) = match (status, reached_at) {
        ("active", _) => return String::new(),
        ("completed_goal", Some(at)) => ("goal_achieved", format!("'{}'", text(at))),
        (status, _) => (status, "NULL".to_owned()),
    };
    format!(
        "UPDATE evaluator.enrollments SET status = '{status}', exit_reason = '{reason}', exited_at = now(), \
         goal_reached_at = {reached_at} WHERE tenant_id = 'a' AND id = '{id}';"
    )
}
