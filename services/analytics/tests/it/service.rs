//! A running service with a tenant, and enrollments put straight into the tables it reads.

use goalpost_analytics::{DEFAULTS, Settings, start};
use runtime::{Context, Running};
use serde_json::Value;
use testkit::{Database, Seeded};
use tokio_postgres::Client;
use uuid::Uuid;

pub struct Service {
    pub database: Database,
    pub superuser: Client,
    pub tenant: Seeded,
    url: String,
    running: Running,
}

impl Service {
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// With settings of its own.
    pub async fn start_with(more: &[(&str, &str)]) -> Self {
        let database = Database::create().await.unwrap();
        let tenant = database.seed_tenant("a").await.unwrap();
        let announce = std::env::temp_dir().join(format!("goalpost-analytics-{}.json", Uuid::now_v7()));
        let overrides = [
            ("GOALPOST__DATABASE__URL", database.settings("analytics").url),
            ("GOALPOST__DATABASE__SYSTEM_URL", database.settings("analytics").system_url),
            ("GOALPOST__HTTP__PORT", "0".to_owned()),
            ("GOALPOST__HTTP__ADMIN_PORT", "0".to_owned()),
            ("GOALPOST__HTTP__ANNOUNCE_FILE", announce.to_string_lossy().into_owned()),
        ];
        let more = more.iter().map(|(name, value)| (*name, (*value).to_owned()));
        let environment = overrides.into_iter().chain(more).map(|(name, value)| (name.to_owned(), value));
        let settings: Settings = runtime::settings::load(DEFAULTS, None, &environment.collect()).unwrap().settings;
        let context = Context::for_test(settings);
        let running = context.running();
        start(context).await.unwrap();
        let url = loop {
            if let Ok(text) = std::fs::read_to_string(&announce) {
                break serde_json::from_str::<Value>(&text).unwrap()["url"].as_str().unwrap().to_owned();
            }
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        };
        std::fs::remove_file(&announce).unwrap();
        let superuser = database.superuser().await.unwrap();
        Self { database, superuser, tenant, url, running }
    }

    pub async fn get(&self, path: &str, key: &str) -> (u16, Value) {
        let answer = reqwest::Client::new().get(format!("{}{path}", self.url)).bearer_auth(key).send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    }

    /// An answer as it is written.
    pub async fn text(&self, path: &str) -> String {
        let request = reqwest::Client::new().get(format!("{}{path}", self.url)).bearer_auth(&self.tenant.viewer_key);
        request.send().await.unwrap().text().await.unwrap()
    }

    pub async fn stats(&self, workflow: Uuid, query: &str) -> Value {
        let path = format!("/api/v1/workflows/{workflow}/goals/stats?{query}");
        let (status, body) = self.get(&path, &self.tenant.viewer_key).await;
        assert_eq!(status, 200, "{body}");
        body
    }

    pub async fn workflow(&self, tenant: &str) -> Uuid {
        let id = Uuid::now_v7();
        let sql = "INSERT INTO goals.workflows (tenant_id, id, name, status, created_by) VALUES ($1, $2, 'w', 'active', 'test')";
        self.superuser.execute(sql, &[&tenant, &id]).await.unwrap();
        id
    }

    pub async fn goal(&self, workflow: Uuid, goal_type: &str, position: i16) -> Uuid {
        let id = Uuid::now_v7();
        let sql = "INSERT INTO goals.goals (tenant_id, id, workflow_id, goal_type, event_name, criteria, criteria_hash, position, created_by) \
             VALUES ('a', $1::uuid, $2, $3, 'x', '{}', uuid_send($1::uuid), $4, 'test')";
        self.superuser.execute(sql, &[&id, &workflow, &goal_type, &position]).await.unwrap();
        id
    }

    /// An enrollment of 2026-01-01 plus `day` days that reached `goals` after so many hours each.
    pub async fn enroll(&self, workflow: Uuid, day: i32, status: &str, goals: &[(Uuid, &str, f64)]) {
        let id = Uuid::now_v7();
        let enrolled = "timestamptz '2026-01-01T12:00:00Z' + $4::int * interval '1 day'";
        let reached = goals.iter().map(|(_, _, hours)| *hours).reduce(f64::max).filter(|_| status == "completed_goal");
        let sql = format!(
            "INSERT INTO evaluator.enrollments (tenant_id, id, workflow_id, contact_id, status, enrolled_at, created_at, exited_at, exit_reason, goal_reached_at) \
             VALUES ('a', $1::uuid, $2, $1::uuid::text, $3::text, {enrolled}, now(), CASE WHEN $3::text = 'active' THEN NULL ELSE now() END, \
             CASE $3::text WHEN 'active' THEN NULL WHEN 'completed_goal' THEN 'goal_achieved' ELSE $3 END, {enrolled} + $5::float8 * interval '1 hour')"
        );
        self.superuser.execute(&sql, &[&id, &workflow, &status, &day, &reached]).await.unwrap();
        for (goal, goal_type, hours) in goals {
            let sql = format!(
                "INSERT INTO evaluator.workflow_goal_achievements (tenant_id, id, workflow_id, enrollment_id, contact_id, goal_id, goal_type, goal_version, \
                 event_id, event_name, achieved_at, recorded_at, criteria, trigger_event) \
                 VALUES ('a', gen_random_uuid(), $1, $2, 'c', $3, $6, 1, gen_random_uuid(), 'x', {enrolled} + $5::float8 * interval '1 hour', now(), '{{}}', '{{}}')"
            );
            self.superuser.execute(&sql, &[&workflow, &id, goal, &day, hours, goal_type]).await.unwrap();
        }
    }

    pub async fn stop(self) {
        self.running.stop().await.unwrap();
    }
}
