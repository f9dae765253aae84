//! The figures of spec chapter 4 section 8, on hand-made histories.

use crate::service::Service;
use serde_json::{Value, json};
use uuid::Uuid;

#[tokio::test(flavor = "multi_thread")]
async fn five_enrollments_two_achieved() {
    let service = Service::start().await;
    let workflow = service.workflow("a").await;
    let goal = service.goal(workflow, "tag_added", 1).await;
    let unmet = service.goal(workflow, "form_submitted", 2).await;
    service.enroll(workflow, 0, "completed_goal", &[(goal, "tag_added", 48.0)]).await;
    service.enroll(workflow, 1, "completed_goal", &[(goal, "tag_added", 72.0)]).await;
    for status in ["active", "removed", "failed"] {
        service.enroll(workflow, 1, status, &[]).await;
    }
    let mut stats = service.stats(workflow, "").await;
    assert!(stats.as_object_mut().unwrap().remove("as_of").unwrap().as_str().unwrap().ends_with('Z'));
    let times = |average: Value, median: Value, p90: Value, p95: Value| json!({"average_time_to_goal_hours": average, "median_time_to_goal_hours": median, "p90_time_to_goal_hours": p90, "p95_time_to_goal_hours": p95});
    let merged = |mut head: Value, tail: Value| {
        head.as_object_mut().unwrap().extend(tail.as_object().unwrap().clone());
        head
    };
    let reached = times(json!(60.0), json!(60.0), json!(69.6), json!(70.8));
    let expected = json!({
        "workflow_id": workflow, "total_enrolled": 5, "goals_achieved": 2, "conversion_rate": 40.0,
        "by_status": {"active": 1, "completed_goal": 2, "completed": 0, "removed": 1, "failed": 1},
        "by_goal": [
            merged(json!({"goal_id": goal, "goal_type": "tag_added", "achieved": 2, "conversion_rate": 40.0}), reached.clone()),
            merged(json!({"goal_id": unmet, "goal_type": "form_submitted", "achieved": 0, "conversion_rate": 0.0}), times(Value::Null, Value::Null, Value::Null, Value::Null)),
        ],
        "by_goal_type": [merged(json!({"goal_type": "tag_added", "achieved": 2, "conversion_rate": 40.0}), reached.clone())],
        "by_day": [
            {"date": "2026-01-01", "enrolled": 1, "goals_achieved": 0}, {"date": "2026-01-02", "enrolled": 4, "goals_achieved": 0},
            {"date": "2026-01-03", "enrolled": 0, "goals_achieved": 1}, {"date": "2026-01-05", "enrolled": 0, "goals_achieved": 1},
        ],
    });
    assert_eq!(stats, merged(expected, reached));
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_day_is_one_of_the_tenants_time_zone() {
    let service = Service::start().await;
    let workflow = service.workflow("a").await;
    let goal = service.goal(workflow, "tag_added", 1).await;
    // At 2026-01-01T12:00:00Z, and 10 h later.
    service.enroll(workflow, 0, "completed_goal", &[(goal, "tag_added", 10.0)]).await;
    for (zone, enrolled, achieved) in [
        ("UTC", "2026-01-01", "2026-01-01"),
        ("Europe/Athens", "2026-01-01", "2026-01-02"),
        ("Pacific/Auckland", "2026-01-02", "2026-01-02"),
        ("Pacific/Niue", "2026-01-01", "2026-01-01"),
    ] {
        service.superuser.execute("UPDATE platform.tenants SET time_zone = $1", &[&zone]).await.unwrap();
        let by_day = service.stats(workflow, "fresh=true").await["by_day"].clone();
        let on =
            |day: &str| by_day.as_array().unwrap().iter().find(|of| of["date"] == day).cloned().unwrap_or_default();
        assert_eq!(
            (&on(enrolled)["enrolled"], &on(achieved)["goals_achieved"]),
            (&json!(1), &json!(1)),
            "{zone}: {by_day}"
        );
    }
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn under_all_one_enrollment_with_two_achievements_is_one_conversion() {
    let service = Service::start().await;
    let workflow = service.workflow("a").await;
    let (tag, other, form) = (
        service.goal(workflow, "tag_added", 1).await,
        service.goal(workflow, "tag_added", 2).await,
        service.goal(workflow, "form_submitted", 3).await,
    );
    let goals = [(tag, "tag_added", 1.0), (other, "tag_added", 2.0), (form, "form_submitted", 10.0)];
    service.enroll(workflow, 0, "completed_goal", &goals).await;
    service.enroll(workflow, 0, "active", &[(tag, "tag_added", 5.0)]).await;
    let stats = service.stats(workflow, "").await;
    assert_eq!((&stats["goals_achieved"], &stats["average_time_to_goal_hours"]), (&json!(1), &json!(10.0)));
    assert_eq!(stats["by_goal"][0]["achieved"], 2);
    assert_eq!(
        stats["by_goal_type"][1],
        json!({"goal_type": "tag_added", "achieved": 2, "conversion_rate": 100.0, "average_time_to_goal_hours": 3.0,
        "median_time_to_goal_hours": 3.0, "p90_time_to_goal_hours": 4.6, "p95_time_to_goal_hours": 4.8})
    );
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_enrolled_is_zero_and_rates_round_half_away_from_zero() {
    let service = Service::start().await;
    let workflow = service.workflow("a").await;
    let stats = service.stats(workflow, "").await;
    assert_eq!((&stats["conversion_rate"], &stats["average_time_to_goal_hours"]), (&json!(0.0), &Value::Null));
    let goal = service.goal(workflow, "tag_added", 1).await;
    service.enroll(workflow, 0, "completed_goal", &[(goal, "tag_added", 1.0)]).await;
    for _ in 0..399 {
        service.enroll(workflow, 0, "active", &[]).await;
    }
    assert_eq!(service.stats(workflow, "").await["total_enrolled"], 0, "the first answer is kept for a while");
    let stats = service.stats(workflow, "fresh=true").await;
    assert_eq!(stats["conversion_rate"], 0.3, "0.25 %");
    assert_eq!(service.stats(workflow, "").await["total_enrolled"], 400, "a fresh answer replaces the kept one");
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn from_and_to_are_half_open_over_enrolled_at() {
    let service = Service::start().await;
    let workflow = service.workflow("a").await;
    for day in 0..4 {
        service.enroll(workflow, day, "active", &[]).await;
    }
    let asked =
        |query: &'static str| async { service.stats(workflow, query).await["total_enrolled"].as_i64().unwrap() };
    assert_eq!(asked("from=2026-01-02T12:00:00Z&to=2026-01-04T12:00:00Z").await, 2);
    assert_eq!(asked("from=2026-01-02T13:00:00%2B01:00").await, 3);
    assert_eq!(asked("to=2026-01-01T12:00:00Z").await, 0);
    let path = format!("/api/v1/workflows/{workflow}/goals/stats");
    for (query, code) in [
        ("from=yesterday", "invalid_timestamp"),
        ("from=2026-02-01T00:00:00Z&to=2026-01-01T00:00:00Z", "invalid_value"),
        ("until=x", "invalid_query"),
        ("fresh=maybe", "invalid_query"),
    ] {
        let (status, body) = service.get(&format!("{path}?{query}"), &service.tenant.viewer_key).await;
        assert_eq!((status, body["code"].as_str().unwrap()), (400, code), "{query}: {body}");
    }
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_workflow_answers_as_an_unknown_one() {
    let service = Service::start().await;
    let other = service.database.seed_tenant("b").await.unwrap();
    let foreign = service.workflow("b").await;
    let path = |id: &str| format!("/api/v1/workflows/{id}/goals/stats");
    let mut bodies = Vec::new();
    for id in [foreign.to_string(), Uuid::now_v7().to_string(), "not-a-uuid".to_owned()] {
        let (status, mut body) = service.get(&path(&id), &service.tenant.viewer_key).await;
        assert_eq!(status, 404);
        let document = body.as_object_mut().unwrap();
        document.retain(|key, _| key != "instance" && key != "request_id");
        bodies.push(body);
    }
    assert_eq!(bodies[0], bodies[1]);
    assert_eq!(bodies[1], bodies[2]);
    assert_eq!(service.get(&path(&foreign.to_string()), &other.viewer_key).await.0, 200);
    assert_eq!(service.get(&path(&foreign.to_string()), "gpk_nonsense").await.0, 401);
    assert_eq!(service.get(&path(&foreign.to_string()), &service.tenant.write_token).await.0, 401);
    let operator = service.database.seed_operator().await.unwrap();
    assert_eq!(service.get(&path(&foreign.to_string()), &operator).await.0, 403);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn more_than_a_minutes_requests_are_told_when_to_come_back() {
    let service = Service::start().await;
    let workflow = service.workflow("a").await;
    let path = format!("/api/v1/workflows/{workflow}/goals/stats");
    let mut limited = 0;
    for _ in 0..70 {
        let (status, body) = service.get(&path, &service.tenant.viewer_key).await;
        if status == 429 {
            assert_eq!(body["code"], "rate_limited");
            limited += 1;
        }
    }
    assert!(limited >= 1, "70 requests at once are more than 60 a minute");
    assert_eq!(service.get(&path, &service.tenant.editor_key).await.0, 200, "another key is not affected");
    service.stop().await;
}
