//! The admin port: liveness, readiness, metrics.

use std::sync::Arc;
use std::time::Duration;

use actix_web::{HttpResponse, web};
use domain::outbox::BoxFuture;
use prometheus::{Registry, TextEncoder};

use crate::Problem;

/// How long one check of readiness may take before it counts as failed.
const CHECK_TIMEOUT: Duration = Duration::from_secs(1);

type Probe = Arc<dyn Fn() -> BoxFuture<'static, bool> + Send + Sync>;

/// What the admin port answers with. Liveness asks nobody: a service lives while it answers.
#[derive(Clone)]
pub struct AdminPort {
    registry: Registry,
    checks: Vec<(&'static str, Probe)>,
}

impl AdminPort {
    /// Prints `registry` at `/metrics`; ready while every check that is added says so.
    pub fn new(registry: Registry) -> Self {
        Self { registry, checks: Vec::new() }
    }

    /// Adds a named check that knows its answer.
    #[must_use]
    pub fn check(self, name: &'static str, ready: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        self.probe(name, move || {
            let ready = ready();
            Box::pin(async move { ready })
        })
    }

    /// Adds a named check that has to ask somebody: a second at most.
    #[must_use]
    pub fn probe(
        mut self,
        name: &'static str,
        probe: impl Fn() -> BoxFuture<'static, bool> + Send + Sync + 'static,
    ) -> Self {
        self.checks.push((name, Arc::new(probe)));
        self
    }

    pub(crate) fn routes(&self, config: &mut web::ServiceConfig) {
        config
            .app_data(web::Data::new(self.clone()))
            .route("/health/live", web::get().to(live))
            .route("/health/ready", web::get().to(ready))
            .route("/metrics", web::get().to(metrics))
            .default_service(web::to(|| async { Err::<HttpResponse, _>(Problem::not_found()) }));
    }
}

async fn live() -> HttpResponse {
    HttpResponse::Ok().json(serde_json::json!({ "status": "live" }))
}

async fn ready(admin: web::Data<AdminPort>) -> HttpResponse {
    let asked = admin.checks.iter().map(|(name, probe)| async move {
        let answer = tokio::time::timeout(CHECK_TIMEOUT, probe()).await;
        (*name, answer.unwrap_or(false))
    });
    let answers = futures_util::future::join_all(asked).await;
    let ready = answers.iter().all(|answer| answer.1);
    let word = |ready: bool| if ready { "ready" } else { "not_ready" };
    let checks: serde_json::Map<String, serde_json::Value> =
        answers.iter().map(|(name, ready)| ((*name).to_owned(), word(*ready).into())).collect();
    let document = serde_json::json!({ "status": word(ready), "checks": checks });
    match ready {
        true => HttpResponse::Ok().json(document),
        false => HttpResponse::ServiceUnavailable().insert_header(("retry-after", "1")).json(document),
    }
}

async fn metrics(admin: web::Data<AdminPort>) -> Result<HttpResponse, Problem> {
    let text = TextEncoder::new().encode_to_string(&admin.registry.gather());
    let text = text.map_err(|error| {
        tracing::error!(%error, "metrics cannot be printed");
        Problem::internal()
    })?;
    Ok(HttpResponse::Ok().content_type("text/plain; version=0.0.4; charset=utf-8").body(text))
}
