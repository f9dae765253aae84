//! What holds of every judgement, whatever the goals and events.

use proptest::prelude::*;
use proptest::sample::subsequence;

use super::*;

const CRITERIA: [(&str, &str); 6] = [
    ("tag_added", r#"{"tag_name":"a"}"#),
    ("tag_added", r#"{"tag_pattern":"a*"}"#),
    ("purchase_made", r#"{"any_purchase":true}"#),
    ("purchase_made", r#"{"min_amount":100}"#),
    ("form_submitted", r#"{"form_id":"f"}"#),
    ("custom_event", r#"{"event_name":"form.submitted","where":[{"property":"n","op":"gte","value":1}]}"#),
];

fn any_event() -> impl Strategy<Value = StoredEvent> {
    let kinds = prop_oneof![
        prop_oneof![Just("a"), Just("ab"), Just("b")]
            .prop_map(|name| ("contact.tag.added", format!(r#"{{"tag_name":"{name}"}}"#))),
        prop_oneof![Just("100"), Just("99.99"), Just("0")]
            .prop_map(|amount| ("payment.completed", format!(r#"{{"amount":{amount}}}"#))),
        (prop_oneof![Just("f"), Just("g")], 0..3)
            .prop_map(|(form, n)| ("form.submitted", format!(r#"{{"form_id":"{form}","n":{n}}}"#))),
    ];
    (0_u128..12, -3_i64..12, 0_i64..4, kinds).prop_map(|(number, seconds, delay, (name, properties))| {
        let mut event = event(number, seconds, name, &properties);
        event.received_at = at(seconds + delay);
        event
    })
}

/// Events whose ids are unique, as the ledger keeps them.
pub(super) fn any_events() -> impl Strategy<Value = Vec<StoredEvent>> {
    prop::collection::vec(any_event(), 0..12).prop_map(|mut events| {
        let mut seen = std::collections::HashSet::new();
        events.retain(|event| seen.insert(event.event_id));
        events
    })
}

fn any_goal() -> impl Strategy<Value = Goal> {
    (0..CRITERIA.len(), 0_i16..3, prop::option::of(1_i64..10), prop::option::of(-2_i64..8), prop::bool::weighted(0.85))
        .prop_map(|(kind, position, within, effective, active)| {
            let (goal_type, text) = CRITERIA[kind];
            let mut goal = goal(position, goal_type, text);
            goal.within = within.map(|seconds| Within { seconds });
            goal.effective_from = effective.map(at);
            goal.active = active;
            goal
        })
}

pub(super) fn any_workflow() -> impl Strategy<Value = Workflow> {
    let logic = prop_oneof![Just(GoalLogic::Any), Just(GoalLogic::All), (1_u8..=3).prop_map(GoalLogic::AtLeast)];
    (logic, prop::collection::vec(any_goal(), 0..4)).prop_map(|(logic, mut goals)| {
        for (number, goal) in goals.iter_mut().enumerate() {
            goal.id = goal_id(u128::try_from(number).unwrap());
        }
        workflow(logic, goals)
    })
}

pub(super) fn any_facts() -> impl Strategy<Value = EnrollmentFacts> {
    let already = subsequence(vec![0_u128, 1, 2, 9], 0..2);
    (0_i64..4, already, any::<bool>(), prop::option::of(0_i64..6), subsequence((0_u128..12).collect::<Vec<_>>(), 0..3))
        .prop_map(|(created, already, catch_up, closed, credited)| {
            let mut facts = facts();
            facts.created_at = at(created);
            facts.already = already.into_iter().map(|number| (goal_id(number), at(1))).collect();
            facts.catch_up = catch_up;
            facts.closed_before = closed.map(at);
            facts.credited = credited.into_iter().map(event_id).collect();
            facts
        })
}

/// The rules again, as sets and without a walk: which events count for a goal at all.
fn counts(facts: &EnrollmentFacts, goal: &CompiledGoal, event: &StoredEvent) -> bool {
    let inner = goal.goal();
    inner.active
        && goal.verdict(&event.event_name, &event.properties).is_ok()
        && event.event_time >= facts.enrolled_at
        && inner.within.is_none_or(|within| event.event_time < facts.enrolled_at + Duration::seconds(within.seconds))
        && !facts.credited.contains(&event.event_id)
        && facts.closed_before.is_none_or(|end| event.event_time >= end)
        && inner
            .effective_from
            .is_none_or(|from| facts.catch_up || event.received_at >= from || facts.created_at >= from)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn order_and_repetition_change_nothing(
        facts in any_facts(), workflow in any_workflow(), events in any_events(),
        shuffled in any::<u64>(), repeated in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
    ) {
        let expected = judge(&facts, &workflow, &events);
        let mut other: Vec<StoredEvent> = events.clone();
        if !events.is_empty() {
            other.extend(repeated.iter().map(|index| index.get(&events).clone()));
        }
        // A cheap shuffle by a keyed hash of the place.
        let mut keyed: Vec<(u64, StoredEvent)> = other
            .into_iter()
            .enumerate()
            .map(|(place, event)| ((place as u64 + 1).wrapping_mul(shuffled | 1).rotate_left(17), event))
            .collect();
        keyed.sort_by_key(|(key, _)| *key);
        let other: Vec<StoredEvent> = keyed.into_iter().map(|(_, event)| event).collect();
        prop_assert_eq!(judge(&facts, &workflow, &other), expected);
        let mut reversed = workflow.clone();
        reversed.goals.reverse();
        prop_assert_eq!(judge(&facts, &reversed, &events), judge(&facts, &workflow, &events));
    }

    /// For `any`, an oracle without a walk: the earliest counting event, then the goal of lowest rank.
    #[test]
    fn any_credits_the_earliest(mut facts in any_facts(), mut workflow in any_workflow(), events in any_events()) {
        facts.already.clear();
        workflow.logic = GoalLogic::Any;
        let rank = |goal: &CompiledGoal| (goal.goal().position, goal.goal().created_at, goal.id());
        let best = events
            .iter()
            .flat_map(|event| workflow.goals.iter().map(move |goal| (event, goal)))
            .filter(|(event, goal)| counts(&facts, goal, event))
            .min_by_key(|(event, goal)| (event.event_time, event.event_id, rank(goal)));
        let judgement = judge(&facts, &workflow, &events);
        prop_assert_eq!(
            judgement.achievements.first().map(|achievement| (achievement.event, achievement.goal)),
            best.map(|(event, goal)| (event.event_id, goal.id()))
        );
        prop_assert!(judgement.achievements.len() <= 1);
        prop_assert_eq!(judgement.exit.map(|exit| exit.reached_at), best.map(|(event, _)| event.event_time));
    }

    /// For `all`, an oracle without a walk: each goal's first counting event; the exit is there exactly
    /// when none is missing.
    #[test]
    fn all_needs_each_goal_once(facts in any_facts(), mut workflow in any_workflow(), events in any_events()) {
        workflow.logic = GoalLogic::All;
        let met_at = |goal: &CompiledGoal| {
            let earlier = facts.already.iter().find(|(id, _)| *id == goal.id()).map(|(_, at)| *at);
            let first = || events.iter().filter(|event| counts(&facts, goal, event)).map(|event| event.event_time).min();
            earlier.or_else(first)
        };
        let active: Vec<&CompiledGoal> = workflow.goals.iter().filter(|goal| goal.goal().active).collect();
        let times: Vec<Option<OffsetDateTime>> = active.iter().map(|goal| met_at(goal)).collect();
        let judgement = judge(&facts, &workflow, &events);
        let complete = !active.is_empty() && times.iter().all(Option::is_some);
        prop_assert_eq!(judgement.exit.is_some(), complete);
        prop_assert_eq!(judgement.exit.map(|exit| exit.reached_at), times.iter().flatten().max().copied().filter(|_| complete));
    }

    /// What a judgement says is consistent in itself, and judging again on top of it adds nothing.
    #[test]
    fn judgements_are_sound_and_final(facts in any_facts(), workflow in any_workflow(), events in any_events()) {
        let judgement = judge(&facts, &workflow, &events);
        prop_assert_eq!(judgement.verdicts.len(), events.len() * workflow.goals.len());
        let matched = judgement.verdicts.iter().filter(|verdict| verdict.reason == Reason::Matched).count();
        prop_assert_eq!(matched, judgement.achievements.len());
        for achievement in &judgement.achievements {
            let goal = workflow.goals.iter().find(|goal| goal.id() == achievement.goal).unwrap();
            let event = events.iter().find(|event| event.event_id == achievement.event).unwrap();
            prop_assert!(counts(&facts, goal, event));
            prop_assert_eq!(achievement.achieved_at, event.event_time);
            prop_assert!(facts.already.iter().all(|(id, _)| *id != achievement.goal));
        }
        let achieved = facts.already.len() + judgement.achievements.len();
        prop_assert!(workflow.logic != GoalLogic::Any || facts.already.len() > 1 || achieved <= 1);

        let mut after = facts.clone();
        after.already.extend(judgement.achievements.iter().map(|achievement| (achievement.goal, achievement.achieved_at)));
        after.active = judgement.exit.is_none();
        let again = judge(&after, &workflow, &events);
        prop_assert!(again.achievements.is_empty());
        prop_assert_eq!(again.exit, None);
    }

    /// In whatever pieces the events arrive, no piece can bring an exit that the whole would not.
    #[test]
    fn more_events_never_undo_an_exit(facts in any_facts(), workflow in any_workflow(), events in any_events(), cut in any::<prop::sample::Index>()) {
        let part = &events[..if events.is_empty() { 0 } else { cut.index(events.len()) }];
        if judge(&facts, &workflow, part).exit.is_some() {
            prop_assert!(judge(&facts, &workflow, &events).exit.is_some());
        }
    }
}
