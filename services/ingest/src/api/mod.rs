//! The routes of the public port.

mod answer;
mod body;
mod cors;
mod credential;
mod described;
mod events;
mod expand;

use std::sync::Arc;

use ::web::body::Limits;
use ::web::openapi::Api as OpenApi;
use ::web::{Problem, RateLimit};
use actix_web::web::{self, ServiceConfig};

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
}

/// Every operation of this service.
pub fn operations() -> OpenApi {
    OpenApi::new(described::ABOUT, described::operations())
}

/// Puts the routes in place, and what their handlers work with.
pub fn routes(config: &mut ServiceConfig, operations: &OpenApi, api: &Arc<Api>) {
    config.app_data(web::Data::from(Arc::clone(api)));
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
            Error::UnusableBody(fault) => fault.into(),
            Error::AllRejected | Error::MalformedEncoding => Problem::bad_request(code, message),
            Error::Busy => Problem::unavailable(code, message).retry_in(1),
            Error::CredentialsUnavailable | Error::StorageAway => Problem::unavailable(code, message),
        }
    }
}
