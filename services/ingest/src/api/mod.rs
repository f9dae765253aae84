//! The routes of the public port.

mod answer;
mod author;
mod body;
mod cors;
mod credential;
mod described;
mod erasures;
mod events;
mod expand;
mod export;
mod identify;

use std::sync::Arc;
use std::time::Duration;

use ::web::body::Limits;
use ::web::openapi::Api as OpenApi;
use ::web::{Identity, Problem, RateLimit};
use actix_web::web::{self, Data, ServiceConfig};
use pg::Db;

use crate::door::Door;
use crate::error::Error;
use crate::senders::Senders;

pub use body::MAX_EVENTS;

/// What the handlers work with.
pub struct Api {
    pub door: Arc<Door>,
    pub senders: Arc<Senders>,
    /// Of a body as it is sent.
    pub body: Limits,
    /// Largest body when it is expanded.
    pub max_expanded_bytes: usize,
    /// Of events, by write token of a server.
    pub limit: RateLimit,
    /// The same of a browser.
    pub browser_limit: RateLimit,
    /// Who asks about people.
    pub identity: Identity,
    pub db: Db,
    /// For the reports of all services, when somebody is to be forgotten.
    pub erase_wait: Duration,
}

/// Every operation of this service.
pub fn operations() -> OpenApi {
    let people = identify::operations().into_iter().chain(erasures::operations()).chain([export::operation()]);
    let people = people.map(|operation| operation.refuses(503, &["storage_unavailable"]));
    OpenApi::new(described::ABOUT, described::operations().into_iter().chain(people).collect())
}

/// Puts the routes in place, and what their handlers work with.
pub fn routes(config: &mut ServiceConfig, operations: &OpenApi, api: &Arc<Api>) {
    config.app_data(web::Data::from(Arc::clone(api)));
    config.app_data(Data::new(api.identity.clone())).app_data(Data::new(api.db.clone()));
    operations.register(config);
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let (code, message) = (error.code(), error.to_string());
        match error {
            Error::MissingCredentials | Error::InvalidCredentials => Problem::unauthorized(code, message),
            Error::OriginNotAllowed => Problem::forbidden(code, message),
            Error::UnsupportedContentType | Error::UnsupportedEncoding => Problem::unsupported_type(code, message),
            Error::ExpandsTooFar(_) => Problem::too_large(code, message),
            Error::UnusableBody(fault) | Error::Invalid(fault) => fault.into(),
            Error::NotFound => Problem::not_found(),
            Error::AlreadyIdentified | Error::KeyReused => Problem::conflict(code, message),
            Error::AllRejected | Error::MalformedEncoding => Problem::bad_request(code, message),
            Error::Busy => Problem::unavailable(code, message).retry_in(1),
            Error::CredentialsUnavailable | Error::StorageAway | Error::Overtaken => {
                Problem::unavailable(code, message)
            }
            Error::Database(error) => {
                tracing::error!(error = &error as &dyn std::error::Error, code, "a request failed");
                if error.is_unavailable() {
                    Problem::unavailable(code, "storage is away; send it again")
                } else {
                    Problem::internal()
                }
            }
        }
    }
}
