//! What is told afterwards: the same as was judged, and nothing against what was recorded.

use proptest::prelude::*;

use super::judging_properties::{any_events, any_facts, any_workflow};
use super::*;

/// An enrollment that is active, with what it achieved as credits that events of long ago have.
fn settled(facts: &EnrollmentFacts) -> Settled {
    let credits = facts.already.iter().map(|(goal, at)| Credit {
        goal: *goal,
        event: event_id(900),
        at: *at,
        also_matched: Vec::new(),
    });
    Settled { credits: credits.collect(), ..Settled::default() }
}

fn in_order(events: &mut [StoredEvent]) {
    events.sort_by_key(|event| (event.event_time, event.event_id));
}

fn by_goal(mut verdicts: Vec<Verdict>) -> Vec<Verdict> {
    verdicts.sort_by_key(|verdict| (verdict.event_time, verdict.event_id, verdict.goal_id));
    verdicts
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn of_an_active_enrollment_it_is_what_the_judge_says(
        mut facts in any_facts(), workflow in any_workflow(), mut events in any_events(),
    ) {
        facts.already.clear();
        in_order(&mut events);
        let judged = judge(&facts, &workflow, &events);
        let (mut after, mut settled) = (facts.clone(), Settled::default());
        judge_on(&mut after, &mut settled, (&workflow, &events));
        // Each event by itself, and the last ones first.
        let mut told: Vec<Verdict> = Vec::new();
        for event in events.iter().rev() {
            told.extend(explain(&facts, &workflow, &settled, std::slice::from_ref(event)));
        }
        prop_assert_eq!(by_goal(told), by_goal(judged.verdicts));
    }

    #[test]
    fn judging_piece_by_piece_is_judging_at_once(
        facts in any_facts(), workflow in any_workflow(), mut events in any_events(), size in 1_usize..5,
    ) {
        in_order(&mut events);
        let whole = judge(&facts, &workflow, &events);
        let (mut after, mut settled) = (facts.clone(), settled(&facts));
        let mut achievements = judge_on(&mut after, &mut settled, (&workflow, &[])).achievements;
        for piece in events.chunks(size) {
            achievements.extend(judge_on(&mut after, &mut settled, (&workflow, piece)).achievements);
        }
        prop_assert_eq!(achievements, whole.achievements);
        prop_assert_eq!(settled.ending, whole.exit.is_some());
    }

    /// Recorded, then ended; whatever the goals are changed to.
    #[test]
    fn what_was_recorded_is_matched_under_any_other_goals(
        mut facts in any_facts(), workflow in any_workflow(), other in any_workflow(), mut events in any_events(), by_goal in any::<bool>(),
    ) {
        facts.already.clear();
        in_order(&mut events);
        let (mut after, mut settled) = (facts.clone(), Settled::default());
        let judged = judge_on(&mut after, &mut settled, (&workflow, &events));
        settled.ending = false;
        settled.end = Some(End { exited_at: at(20), by_goal });
        let credited = |verdict: &Verdict| judged.achievements.iter().any(|a| (a.goal, a.event) == (verdict.goal_id, verdict.event_id));
        let mut late = events.clone();
        for event in &mut late {
            event.event_id = event_id(500).max(event.event_id);
            event.received_at = at(20);
        }
        late.truncate(1);
        for verdict in explain(&facts, &other, &settled, &[events, late].concat()) {
            prop_assert_eq!(verdict.reason == Reason::Matched, credited(&verdict));
            if verdict.event_id == event_id(500) {
                prop_assert_ne!(verdict.reason, Reason::AlreadyAchieved);
            }
        }
    }
}

#[test]
fn what_became_of_the_workflow_after_the_end_says_nothing_about_it() {
    let mut inactive = workflow(GoalLogic::Any, vec![goal(1, "tag_added", r#"{"tag_name":"a"}"#)]);
    inactive.status = WorkflowStatus::Inactive;
    let events = [tag(1, 1, "b"), tag(2, 2, "a")];
    let reasons = |settled: &Settled| -> Vec<Reason> {
        explain(&facts(), &inactive, settled, &events).iter().map(|verdict| verdict.reason).collect()
    };
    assert_eq!(reasons(&Settled::default()), [Reason::WorkflowInactive; 2]);
    let ended = Settled { end: Some(End { exited_at: at(1), by_goal: false }), ..Settled::default() };
    assert_eq!(reasons(&ended), [Reason::TagDiffers, Reason::AlreadyExited]);
}
