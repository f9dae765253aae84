//! The route table, and what every handler shares. One file per resource: wire types and handlers.

mod audit;
mod callers;
mod credentials;
mod goals;
mod listeners;
mod references;
mod tenants;
mod workflows;

use actix_web::web::{Data, ServiceConfig, delete, get, patch, post, put, scope};
use domain::fault::Fault;
use pg::Db;
use serde::{Deserialize, Deserializer};
use time::OffsetDateTime;
use web::{Keys, Page, Problem};

use crate::metrics::Metrics;

/// Longest name of anything, in characters.
const MAX_NAME_CHARS: usize = 200;

/// What handlers work with.
#[derive(Clone)]
pub struct App {
    pub db: Db,
    pub metrics: Metrics,
}

/// Every route of this service.
pub fn routes(config: &mut ServiceConfig, app: &App, keys: &Keys) {
    config.app_data(Data::new(app.clone())).app_data(Data::new(keys.clone())).service(
        scope("/api/v1")
            .route("/tenants", post().to(tenants::create))
            .route("/tenants/{tenant_id}", get().to(tenants::show))
            .route("/tenants/{tenant_id}", patch().to(tenants::edit))
            .route("/tenants/{tenant_id}/write-tokens", post().to(credentials::create_token))
            .route("/tenants/{tenant_id}/write-tokens", get().to(credentials::list_tokens))
            .route("/tenants/{tenant_id}/write-tokens/{id}", delete().to(credentials::revoke_token))
            .route("/tenants/{tenant_id}/api-keys", post().to(credentials::create_key))
            .route("/tenants/{tenant_id}/api-keys", get().to(credentials::list_keys))
            .route("/tenants/{tenant_id}/api-keys/{id}", delete().to(credentials::revoke_key))
            .route("/workflows", post().to(workflows::create))
            .route("/workflows", get().to(workflows::list))
            .route("/workflows/{id}", get().to(workflows::show))
            .route("/workflows/{id}", patch().to(workflows::edit))
            .route("/workflows/{id}/activate", post().to(workflows::activate))
            .route("/workflows/{id}/pause", post().to(workflows::pause))
            .route("/workflows/{id}/deactivate", post().to(workflows::deactivate))
            .route("/workflows/{id}/listeners", get().to(listeners::list_of_workflow))
            .route("/workflows/{id}/goals", post().to(goals::create))
            .route("/workflows/{id}/goals", get().to(goals::list))
            .route("/workflows/{id}/goals/{goal_id}", get().to(goals::show))
            .route("/workflows/{id}/goals/{goal_id}", patch().to(goals::edit))
            .route("/workflows/{id}/goals/{goal_id}", delete().to(goals::delete))
            .route("/references", put().to(references::put_all))
            .route("/references", get().to(references::list))
            .route("/references/{kind}/{ref_id}", put().to(references::put))
            .route("/references/{kind}/{ref_id}", get().to(references::show))
            .route("/references/{kind}/{ref_id}", delete().to(references::delete))
            .route("/listeners", get().to(listeners::list))
            .route("/audit", get().to(audit::list)),
    );
}

/// A field that may be absent, `null` or given: `None`, `Some(None)`, `Some(Some(value))`.
fn given<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    T::deserialize(deserializer).map(Some)
}

/// A name: something to read, on one line.
fn name(key: &str, text: String) -> Result<String, Fault> {
    if text.trim().is_empty() {
        return Err(Fault::at(key, "invalid_value", "must not be empty"));
    }
    if text.chars().count() > MAX_NAME_CHARS {
        return Err(Fault::at(key, "too_long", format!("must be at most {MAX_NAME_CHARS} characters")));
    }
    if text.chars().any(char::is_control) {
        return Err(Fault::at(key, "invalid_value", "must not contain control characters"));
    }
    Ok(text)
}

/// Where the page before ended: a time that the database knows, and an id.
fn place(page: &Page) -> Result<Option<(OffsetDateTime, String)>, Problem> {
    let Some(cursor) = &page.cursor else {
        return Ok(None);
    };
    if !(1970..=9999).contains(&cursor.at.year()) {
        return Err(Problem::bad_request("invalid_cursor", "`cursor` is not one that this list gave"));
    }
    Ok(Some((cursor.at, cursor.id.clone())))
}
