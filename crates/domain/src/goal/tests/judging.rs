//! The rulings on who exits, one by one.

use super::*;

const TAG: &str = r#"{"tag_name":"Customer"}"#;
const MIN: &str = r#"{"min_amount":100.00}"#;

fn tag_goal() -> Goal {
    goal(1, "tag_added", TAG)
}

fn purchase_goal() -> Goal {
    goal(2, "purchase_made", MIN)
}

fn reasons(judgement: &Judgement) -> Vec<&'static str> {
    judgement.verdicts.iter().map(|verdict| verdict.reason.as_str()).collect()
}

/// The single verdict on one matching tag event.
fn verdict_on(facts: &EnrollmentFacts, goal: Goal, event: &StoredEvent) -> (Reason, bool) {
    let judgement = judge(facts, &workflow(GoalLogic::Any, vec![goal]), std::slice::from_ref(event));
    assert_eq!(judgement.verdicts.len(), 1);
    (judgement.verdicts[0].reason, judgement.exit.is_some())
}

#[test]
fn any_exits_with_the_first_and_records_one_achievement() {
    let workflow = workflow(GoalLogic::Any, vec![purchase_goal(), tag_goal()]);
    let events = [payment(1, 20, "150.00"), tag(2, 10, "Customer"), tag(3, 30, "Customer")];
    let judgement = judge(&facts(), &workflow, &events);
    assert_eq!(judgement.achievements.len(), 1);
    assert_eq!(judgement.achievements[0].event, event_id(2));
    assert_eq!(judgement.exit, Some(Exit { completing_goal: goal_id(1), reached_at: at(10) }));
    assert_eq!(
        reasons(&judgement),
        [
            "matched",
            "event_type_differs",
            "event_type_differs",
            "already_exited",
            "already_exited",
            "event_type_differs"
        ]
    );
}

#[test]
fn one_event_that_meets_several_goals_is_credited_to_the_lowest() {
    let any_purchase = |position| goal(position, "purchase_made", r#"{"any_purchase":true}"#);
    let judgement = judge(
        &facts(),
        &workflow(GoalLogic::Any, vec![any_purchase(3), purchase_goal(), any_purchase(1)]),
        &[payment(1, 5, "200")],
    );
    assert_eq!(judgement.achievements.len(), 1);
    assert_eq!(judgement.achievements[0].goal, goal_id(1));
    assert_eq!(judgement.achievements[0].also_matched, [goal_id(2), goal_id(3)]);
    assert_eq!(reasons(&judgement), ["matched", "also_matched", "also_matched"]);
    // Equal positions: the older one, then the smaller id.
    let mut older = any_purchase(1);
    older.id = goal_id(9);
    older.created_at = at(-2_000);
    let judgement = judge(&facts(), &workflow(GoalLogic::Any, vec![any_purchase(1), older]), &[payment(1, 5, "200")]);
    assert_eq!(judgement.achievements[0].goal, goal_id(9));
    let mut twin = any_purchase(1);
    twin.id = goal_id(0);
    let judgement = judge(&facts(), &workflow(GoalLogic::Any, vec![any_purchase(1), twin]), &[payment(1, 5, "200")]);
    assert_eq!(judgement.achievements[0].goal, goal_id(0));
}

#[test]
fn all_exits_with_the_last() {
    let workflow = workflow(GoalLogic::All, vec![tag_goal(), purchase_goal()]);
    let first = judge(&facts(), &workflow, &[tag(1, 10, "Customer")]);
    assert_eq!((first.achievements.len(), first.exit), (1, None));
    let both = judge(&facts(), &workflow, &[tag(1, 10, "Customer"), payment(2, 20, "100"), tag(3, 5, "Prospect")]);
    assert_eq!(both.achievements.len(), 2);
    assert_eq!(both.exit, Some(Exit { completing_goal: goal_id(2), reached_at: at(20) }));
    // Achieved before: only the missing one is recorded, and the latest of both counts.
    let mut later = facts();
    later.already = vec![(goal_id(1), at(50))];
    let rest = judge(&later, &workflow, &[tag(1, 10, "Customer"), payment(2, 20, "100")]);
    assert_eq!(rest.achievements.len(), 1);
    assert_eq!(rest.achievements[0].goal, goal_id(2));
    assert_eq!(rest.exit, Some(Exit { completing_goal: goal_id(2), reached_at: at(50) }));
    assert_eq!(reasons(&rest)[0], "already_achieved");
}

#[test]
fn one_event_may_complete_several_goals_of_all() {
    let workflow =
        workflow(GoalLogic::All, vec![goal(1, "purchase_made", r#"{"any_purchase":true}"#), purchase_goal()]);
    let judgement = judge(&facts(), &workflow, &[payment(1, 5, "100")]);
    assert_eq!(judgement.achievements.len(), 2);
    assert!(judgement.achievements.iter().all(|achievement| achievement.also_matched.is_empty()));
    assert_eq!(judgement.exit.unwrap().completing_goal, goal_id(2));
}

#[test]
fn at_least_counts_and_never_asks_for_more_than_there_is() {
    let goals = || vec![tag_goal(), purchase_goal(), goal(3, "form_submitted", r#"{"any_form":true}"#)];
    let form = event(3, 30, "form.submitted", r#"{"form_id":"f"}"#);
    let events = [tag(1, 10, "Customer"), payment(2, 20, "100"), form];
    let two = judge(&facts(), &workflow(GoalLogic::AtLeast(2), goals()), &events);
    assert_eq!(two.achievements.len(), 2);
    assert_eq!(two.exit, Some(Exit { completing_goal: goal_id(2), reached_at: at(20) }));
    assert_eq!(two.verdicts.last().unwrap().reason, Reason::AlreadyExited);
    // Two were asked for, one is left.
    let one = judge(&facts(), &workflow(GoalLogic::AtLeast(2), vec![tag_goal()]), &events);
    assert_eq!(one.exit.unwrap().completing_goal, goal_id(1));
    // One event that reaches the count with the first of two: the first completes, both are recorded.
    let same = vec![goal(1, "purchase_made", r#"{"any_purchase":true}"#), purchase_goal()];
    let both = judge(&facts(), &workflow(GoalLogic::AtLeast(1), same), &[payment(1, 5, "100")]);
    assert_eq!((both.achievements.len(), both.exit.unwrap().completing_goal), (2, goal_id(1)));
}

#[test]
fn without_active_goals_there_is_no_exit() {
    let mut inactive = tag_goal();
    inactive.active = false;
    for logic in [GoalLogic::Any, GoalLogic::All, GoalLogic::AtLeast(1)] {
        let mut earlier = facts();
        earlier.already = vec![(goal_id(1), at(1))];
        for goals in [vec![], vec![inactive.clone()]] {
            let judgement = judge(&earlier, &workflow(logic, goals), &[tag(1, 10, "Customer")]);
            assert_eq!(judgement.exit, None);
            assert!(judgement.achievements.is_empty());
        }
    }
    assert_eq!(verdict_on(&facts(), inactive, &tag(1, 10, "Customer")), (Reason::GoalInactive, false));
}

#[test]
fn a_deleted_goal_completes_all_at_the_next_judgement() {
    let mut half = facts();
    half.already = vec![(goal_id(1), at(10))];
    let remaining = workflow(GoalLogic::All, vec![tag_goal()]);
    let judgement = judge(&half, &remaining, &[]);
    assert!(judgement.achievements.is_empty());
    assert_eq!(judgement.exit, Some(Exit { completing_goal: goal_id(1), reached_at: at(10) }));
    // A goal that was met and is gone does not count for the others.
    let mut gone = facts();
    gone.already = vec![(goal_id(9), at(10))];
    assert_eq!(judge(&gone, &remaining, &[]).exit, None);
    let two =
        judge(&gone, &workflow(GoalLogic::AtLeast(2), vec![tag_goal(), purchase_goal()]), &[tag(1, 20, "Customer")]);
    assert_eq!(two.exit, None);
    // An inactive goal is not needed either.
    let mut switched = purchase_goal();
    switched.active = false;
    assert!(judge(&half, &workflow(GoalLogic::All, vec![tag_goal(), switched]), &[]).exit.is_some());
}

#[test]
fn any_never_records_a_second_achievement() {
    let mut earlier = facts();
    earlier.already = vec![(goal_id(9), at(10))];
    let judgement = judge(&earlier, &workflow(GoalLogic::Any, vec![tag_goal()]), &[tag(1, 20, "Customer")]);
    assert!(judgement.achievements.is_empty());
    assert_eq!(judgement.exit, Some(Exit { completing_goal: goal_id(9), reached_at: at(10) }));
}

#[test]
fn only_events_from_the_enrollment_on_count() {
    assert_eq!(verdict_on(&facts(), tag_goal(), &tag(1, -1, "Customer")), (Reason::BeforeEnrollment, false));
    assert_eq!(verdict_on(&facts(), tag_goal(), &tag(1, 0, "Customer")), (Reason::Matched, true));
}

#[test]
fn windows_are_half_open() {
    let mut hour = tag_goal();
    hour.within = Some(Within::parse("1h").unwrap());
    assert_eq!(verdict_on(&facts(), hour.clone(), &tag(1, 3_599, "Customer")), (Reason::Matched, true));
    assert_eq!(verdict_on(&facts(), hour, &tag(1, 3_600, "Customer")), (Reason::OutsideWindow, false));
}

#[test]
fn events_stored_before_a_goal_took_effect_need_a_reason_to_count() {
    let mut new_goal = tag_goal();
    new_goal.effective_from = Some(at(100));
    let stored_before = tag(1, 50, "Customer");
    assert_eq!(verdict_on(&facts(), new_goal.clone(), &stored_before), (Reason::BeforeGoal, false));
    // Arrived later, though it happened earlier.
    let mut arrived_later = stored_before.clone();
    arrived_later.received_at = at(100);
    assert_eq!(verdict_on(&facts(), new_goal.clone(), &arrived_later), (Reason::Matched, true));
    // The enrollment is younger than the goal.
    let mut young = facts();
    young.created_at = at(100);
    assert_eq!(verdict_on(&young, new_goal.clone(), &stored_before), (Reason::Matched, true));
    // Catch-up was asked for.
    let mut asked = facts();
    asked.catch_up = true;
    assert_eq!(verdict_on(&asked, new_goal, &stored_before), (Reason::Matched, true));
}

#[test]
fn a_re_entry_does_not_live_on_what_the_first_passage_had() {
    let mut again = facts();
    again.closed_before = Some(at(100));
    assert_eq!(verdict_on(&again, tag_goal(), &tag(1, 99, "Customer")), (Reason::BeforeEarlierExit, false));
    assert_eq!(verdict_on(&again, tag_goal(), &tag(1, 100, "Customer")), (Reason::Matched, true));
    again.credited.insert(event_id(1));
    assert_eq!(verdict_on(&again, tag_goal(), &tag(1, 200, "Customer")), (Reason::CreditedEarlier, false));
}

#[test]
fn what_is_not_live_is_not_judged() {
    for (status, exits) in [
        (WorkflowStatus::Draft, false),
        (WorkflowStatus::Active, true),
        (WorkflowStatus::Paused, true),
        (WorkflowStatus::Inactive, false),
    ] {
        let mut workflow = workflow(GoalLogic::Any, vec![tag_goal()]);
        workflow.status = status;
        let judgement = judge(&facts(), &workflow, &[tag(1, 10, "Customer")]);
        assert_eq!(judgement.exit.is_some(), exits, "{status}");
        let expected = if exits { "matched" } else { "workflow_inactive" };
        assert_eq!(reasons(&judgement), [expected], "{status}");
    }
    let mut ended = facts();
    ended.active = false;
    assert_eq!(verdict_on(&ended, tag_goal(), &tag(1, 10, "Customer")), (Reason::AlreadyExited, false));
    assert_eq!(verdict_on(&ended, tag_goal(), &tag(1, 10, "Prospect")), (Reason::TagDiffers, false));
}

#[test]
fn ties_in_time_are_settled_by_id() {
    let workflow = workflow(GoalLogic::Any, vec![tag_goal()]);
    let judgement = judge(&facts(), &workflow, &[tag(2, 10, "Customer"), tag(1, 10, "Customer")]);
    assert_eq!(judgement.achievements[0].event, event_id(1));
}
