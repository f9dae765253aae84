//! `GET /api/v1/analytics/workflows`: order, pages, what is kept, and whose workflows they are.

use crate::service::Service;
use serde_json::{Value, json};
use uuid::Uuid;

const PATH: &str = "/api/v1/analytics/workflows";

impl Service {
    async fn ranking(&self, query: &str) -> Value {
        let (status, body) = self.get(&format!("{PATH}?{query}"), &self.tenant.viewer_key).await;
        assert_eq!(status, 200, "{body}");
        body
    }

    /// A workflow with so many enrollments that reached its goal after 24 h, and so many that did not.
    async fn ranked(&self, achieved: usize, active: usize) -> Uuid {
        let workflow = self.workflow("a").await;
        let goal = self.goal(workflow, "tag_added", 1).await;
        for _ in 0..achieved {
            self.enroll(workflow, 0, "completed_goal", &[(goal, "tag_added", 24.0)]).await;
        }
        for _ in 0..active {
            self.enroll(workflow, 3, "active", &[]).await;
        }
        workflow
    }
}

fn ids(body: &Value) -> Vec<Uuid> {
    body["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| serde_json::from_value(item["workflow_id"].clone()).unwrap())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_best_come_first_and_pages_follow_each_other() {
    let service = Service::start().await;
    let half = service.ranked(1, 1).await;
    let empty = service.ranked(0, 0).await;
    let larger_half = service.ranked(2, 2).await;
    let none = service.ranked(0, 3).await;
    let all = service.ranked(1, 0).await;
    let order = vec![all, larger_half, half, none, empty];

    let body = service.ranking("").await;
    assert_eq!(ids(&body), order);
    assert!(body["as_of"].is_string() && body.get("next_cursor").is_none());
    assert_eq!(
        body["items"][1],
        json!({"workflow_id": larger_half, "name": "w", "status": "active", "total_enrolled": 4, "goals_achieved": 2, "conversion_rate": 50.0,
            "average_time_to_goal_hours": 24.0, "median_time_to_goal_hours": 24.0, "p90_time_to_goal_hours": 24.0,
            "p95_time_to_goal_hours": 24.0})
    );
    assert_eq!(body["items"][4]["average_time_to_goal_hours"], Value::Null);

    let (mut paged, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = service.ranking(&format!("limit=2&cursor={cursor}")).await;
        paged.extend(ids(&page));
        match page["next_cursor"].as_str() {
            Some(next) => next.clone_into(&mut cursor),
            None => break,
        }
    }
    assert_eq!(paged, order);
    // Nothing that was enrolled since has reached a goal: then the newest come first.
    let since = service.ranking("from=2026-01-03T00:00:00Z").await;
    assert_eq!(ids(&since), [all, none, larger_half, empty, half]);
    assert_eq!(since["items"][1]["total_enrolled"], 3);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_kept_is_given_until_it_is_asked_for_anew() {
    let service = Service::start().await;
    service.ranked(1, 0).await;
    let first = service.ranking("").await;
    service.ranked(0, 1).await;
    assert_eq!(service.ranking("").await, first);
    assert_eq!(ids(&service.ranking("fresh=true").await).len(), 2);
    assert_eq!(ids(&service.ranking("").await).len(), 2, "a fresh answer replaces the kept one");
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_ones_own_and_only_what_can_be_asked() {
    let service = Service::start().await;
    let own = service.ranked(0, 0).await;
    let other = service.database.seed_tenant("b").await.unwrap();
    let foreign = service.workflow("b").await;
    assert_eq!(ids(&service.ranking("").await), [own]);
    let (status, body) = service.get(PATH, &other.viewer_key).await;
    assert_eq!((status, ids(&body)), (200, vec![foreign]));
    let from_other = web::Cursor::new(time::OffsetDateTime::UNIX_EPOCH, format_args!("0.0.{foreign}")).encode();
    assert_eq!(service.ranking(&format!("cursor={from_other}")).await["items"], json!([]), "a place, not an object");
    for (query, code) in [
        ("from=yesterday", "invalid_timestamp"),
        ("from=2026-02-01T00:00:00Z&to=2026-01-01T00:00:00Z", "invalid_value"),
        ("until=x", "invalid_query"),
        ("limit=0", "invalid_limit"),
        ("cursor=AAAAAAAAAAB4", "invalid_cursor"),
    ] {
        let (status, body) = service.get(&format!("{PATH}?{query}"), &service.tenant.viewer_key).await;
        assert_eq!((status, body["code"].as_str().unwrap()), (400, code), "{query}: {body}");
    }
    for (key, expected) in [("gpk_nonsense", 401), (service.tenant.write_token.as_str(), 401)] {
        assert_eq!(service.get(PATH, key).await.0, expected);
    }
    let operator = service.database.seed_operator().await.unwrap();
    assert_eq!(service.get(PATH, &operator).await.0, 403);
    service.stop().await;
}
