//! The route table, and what every handler shares. One file per resource: wire types and handlers.

mod audit;
mod callers;
mod credentials;
mod dead_letters;
mod event_types;
mod goals;
mod listeners;
mod references;
mod tenants;
mod workflows;

pub(crate) use references::{gone, put_so};

use actix_web::web::{Data, ServiceConfig};
use domain::fault::Fault;
use domain::once::Answer;
use pg::Db;
use serde::{Deserialize, Deserializer, Serialize};
use time::OffsetDateTime;
use web::openapi::{About, Api, Operation};
use web::{Identity, Page, Problem};

use crate::asked;
use crate::metrics::Metrics;

/// Longest name of anything but a reference, in characters.
const MAX_NAME_CHARS: usize = 200;

/// What handlers work with.
#[derive(Clone)]
pub struct App {
    pub db: Db,
    pub metrics: Metrics,
}

const ABOUT: About = About {
    title: "Goalpost: goals",
    description: "All configuration: tenants and their credentials, workflows and their goals, the directory of what goals may \
        point at, listeners, the audit log. A caller is judged before anything else of a request is looked at; another tenant's \
        object answers as one that is not there. A `traceparent` is taken in and passed on; `X-Request-Id` comes back.",
    tags: &[
        ("tenants", "Tenants and their settings."),
        ("credentials", "Write tokens and API keys of a tenant."),
        ("workflows", "Workflows, and what makes their goals count."),
        ("goals", "The conditions that end an enrollment."),
        ("references", "The directory of what goals may point at."),
        ("event types", "What events may be, and what their properties have to be."),
        ("listeners", "Which workflow waits for which type of event."),
        ("audit", "Who changed what and when."),
        ("dead letters", "Messages of all services that were given up, for operators."),
    ],
};

/// Every operation of this service.
pub fn operations() -> Api {
    let operations = [
        tenants::operations(),
        credentials::operations(),
        workflows::operations(),
        goals::operations(),
        references::operations(),
        event_types::operations(),
        listeners::operations(),
        audit::operations(),
        dead_letters::operations(),
    ];
    let stored = |operation: Operation| operation.refuses(503, &["database_unavailable"]);
    Api::new(ABOUT, operations.into_iter().flatten().map(stored).collect())
}

/// Puts the routes in place, and what their handlers work with.
pub fn routes(config: &mut ServiceConfig, api: &Api, app: &App, identity: &Identity) {
    config.app_data(Data::new(app.clone())).app_data(Data::new(identity.clone()));
    api.register(config);
}

/// How what was made is answered.
pub(crate) fn made<T: Serialize>(object: &T) -> Answer {
    Answer::json(201, object)
}

/// A field that may be absent, `null` or given: `None`, `Some(None)`, `Some(Some(value))`.
fn given<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    T::deserialize(deserializer).map(Some)
}

/// A name.
fn name(key: &str, text: String) -> Result<String, Fault> {
    asked::line(key, text, MAX_NAME_CHARS)
}

/// A text of the query that a list is filtered by. The database knows no NUL.
fn without_nul(key: &str, text: Option<String>) -> Result<Option<String>, Fault> {
    if text.as_ref().is_some_and(|text| text.contains('\0')) {
        return Err(Fault::at(key, "nul_character", "must not contain a NUL character"));
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
