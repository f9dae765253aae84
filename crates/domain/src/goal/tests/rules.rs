//! The index must nominate exactly what asking every goal would.

use proptest::prelude::*;
use uuid::Uuid;

use super::*;

/// Criteria of every type, filed in every way, over few values so that they meet.
const CRITERIA: [(&str, &str); 28] = [
    ("tag_added", r#"{"tag_name":"VIP"}"#),
    ("tag_added", r#"{"tag_name":"vip","case_sensitive":true}"#),
    ("tag_added", r#"{"tag_name":"new"}"#),
    ("tag_added", r#"{"tag_id":"t1"}"#),
    ("tag_added", r#"{"tag_id":"t9"}"#),
    ("tag_added", r#"{"tag_pattern":"vi*"}"#),
    ("tag_added", r#"{"tag_pattern":"*p"}"#),
    ("tag_added", r#"{"tag_pattern":"V*","case_sensitive":true}"#),
    ("purchase_made", r#"{"any_purchase":true}"#),
    ("purchase_made", r#"{"min_amount":100.00}"#),
    ("purchase_made", r#"{"min_amount":"99.995"}"#),
    ("purchase_made", r#"{"max_amount":50}"#),
    ("purchase_made", r#"{"product_id":"p1","min_amount":10}"#),
    ("purchase_made", r#"{"product_ids":["p1","p2"]}"#),
    ("purchase_made", r#"{"currency":"EUR"}"#),
    ("appointment_booked", r#"{"any_appointment":true}"#),
    ("appointment_booked", r#"{"calendar_id":"c1"}"#),
    ("appointment_booked", r#"{"service_id":"s1"}"#),
    ("appointment_booked", r#"{"calendar_id":"c1","service_id":"s1"}"#),
    ("form_submitted", r#"{"any_form":true}"#),
    ("form_submitted", r#"{"form_ids":["f1","f2"]}"#),
    ("pipeline_stage_reached", r#"{"stage_id":"g1"}"#),
    ("pipeline_stage_reached", r#"{"stage_id":"g1","at_or_beyond":true}"#),
    ("pipeline_stage_reached", r#"{"stage_id":"g2","pipeline_id":"x"}"#),
    ("custom_event", r#"{"event_name":"a"}"#),
    (
        "custom_event",
        r#"{"event_name":"a","where":[{"property":"n","op":"gte","value":1},{"property":"k","op":"eq","value":1}]}"#,
    ),
    ("custom_event", r#"{"event_name":"a","where":[{"property":"k","op":"in","value":["x",true,1.5]}]}"#),
    ("custom_event", r#"{"event_name":"form.submitted","where":[{"property":"form_id","op":"eq","value":"f1"}]}"#),
];

fn directory() -> Directory {
    let mut directory = Directory::default();
    directory.add_tag("t1", "VIP");
    directory.add_tag("t2", "vip");
    directory.add_tag("t3", "New");
    directory.add_stage("g1", "x", Some(1));
    directory.add_stage("g2", "x", Some(2));
    directory
}

fn any_workflow(number: u128) -> impl Strategy<Value = Workflow> {
    let status = prop_oneof![
        4 => Just(WorkflowStatus::Active),
        1 => Just(WorkflowStatus::Paused),
        1 => Just(WorkflowStatus::Inactive),
        1 => Just(WorkflowStatus::Draft)
    ];
    let goals = prop::collection::vec((0..CRITERIA.len(), prop::bool::weighted(0.9)), 0..4);
    (status, goals).prop_map(move |(status, goals)| {
        let goals = goals.into_iter().map(|(kind, active)| {
            let (goal_type, text) = CRITERIA[kind];
            let mut goal = goal(1, goal_type, text);
            goal.active = active;
            goal.compile(&directory(), "USD")
        });
        Workflow { id: Uuid::from_u128(number).into(), status, logic: GoalLogic::Any, goals: goals.collect() }
    })
}

fn any_event() -> impl Strategy<Value = (&'static str, Json)> {
    let name = prop::sample::select(vec![
        "contact.tag.added",
        "payment.completed",
        "appointment.booked",
        "form.submitted",
        "pipeline.stage.changed",
        "a",
        "b",
    ]);
    let member = prop::sample::select(vec![
        ("tag_name", r#""VIP""#),
        ("tag_name", r#"" vip ""#),
        ("tag_name", r#""New""#),
        ("tag_name", "7"),
        ("tag_id", r#""t1""#),
        ("tag_id", r#""t2""#),
        ("tag_id", r#""t9""#),
        ("already_present", "true"),
        ("amount", "100"),
        ("amount", r#""99.995""#),
        ("amount", "-5"),
        ("amount", "20.00"),
        ("currency", r#""eur""#),
        ("product_id", r#""p1""#),
        ("product_id", r#""p2""#),
        ("calendar_id", r#""c1""#),
        ("service_id", r#""s1""#),
        ("form_id", r#""f1""#),
        ("form_id", r#""f3""#),
        ("stage_id", r#""g1""#),
        ("stage_id", r#""g2""#),
        ("from_stage_id", r#""g1""#),
        ("k", "1.0"),
        ("k", r#""x""#),
        ("k", "true"),
        ("k", "[1]"),
        ("n", "5"),
    ]);
    let properties = prop::collection::vec(member, 0..6)
        .prop_map(|members| Json::object(members.into_iter().map(|(key, value)| (key, json(value)))));
    (name, properties)
}

/// Asks every goal of every workflow.
fn brute_force(workflows: &[Workflow], name: &str, properties: &Json) -> Vec<WorkflowId> {
    let live = workflows.iter().filter(|workflow| workflow.status.is_live());
    let meets = |goal: &CompiledGoal| goal.goal().active && goal.verdict(name, properties).is_ok();
    let mut ids: Vec<WorkflowId> =
        live.filter(|workflow| workflow.goals.iter().any(meets)).map(|workflow| workflow.id).collect();
    ids.sort_unstable();
    ids
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn nominates_what_asking_everybody_would(
        workflows in (0_u128..10).prop_map(|n| (0..n).map(any_workflow).collect::<Vec<_>>()).prop_flat_map(|all| all),
        events in prop::collection::vec(any_event(), 1..12),
    ) {
        let rules = TenantRules::build(workflows.clone());
        for (name, properties) in &events {
            let mut nominated = vec![WorkflowId::from(Uuid::max())];
            rules.nominate(name, properties, &mut nominated);
            prop_assert_eq!(nominated[0], WorkflowId::from(Uuid::max()));
            prop_assert_eq!(&nominated[1..], brute_force(&workflows, name, properties));
            prop_assert!(nominated.len() == 1 || rules.listens_to(name));
        }
    }
}

#[test]
fn knows_what_it_listens_to() {
    let rules = TenantRules::build(vec![workflow(
        GoalLogic::Any,
        vec![
            goal(1, "tag_added", r#"{"tag_name":"VIP"}"#),
            goal(2, "custom_event", r#"{"event_name":"trial_started"}"#),
        ],
    )]);
    assert!(rules.listens_to("contact.tag.added") && rules.listens_to("trial_started"));
    assert!(!rules.listens_to("payment.completed"));
    let mut names: Vec<&str> = rules.event_names().collect();
    names.sort_unstable();
    assert_eq!(names, ["contact.tag.added", "trial_started"]);
    assert!(rules.workflow(Uuid::from_u128(1).into()).is_some());
    assert!(rules.workflow(Uuid::from_u128(2).into()).is_none());
}

#[test]
fn a_workflow_is_nominated_once_however_many_of_its_goals_are_met() {
    let any = r#"{"any_purchase":true}"#;
    let rules = TenantRules::build(vec![workflow(
        GoalLogic::All,
        vec![goal(1, "purchase_made", any), goal(2, "purchase_made", r#"{"min_amount":1}"#)],
    )]);
    let mut nominated = Vec::new();
    rules.nominate("payment.completed", &json(r#"{"amount":5}"#), &mut nominated);
    assert_eq!(nominated.len(), 1);
}
