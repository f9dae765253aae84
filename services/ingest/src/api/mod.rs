//! The routes of the public port.

mod answer;
mod body;
mod credential;
mod events;

use std::sync::Arc;

use ::web::Problem;
use ::web::body::Limits;
use actix_web::web::{self, ServiceConfig};

use crate::door::Door;
use crate::error::Error;
use crate::senders::Senders;

pub use body::MAX_EVENTS;

/// What the handlers work with.
pub struct Api {
    pub door: Arc<Door>,
    pub senders: Arc<Senders>,
    pub body: Limits,
}

/// Emitters in the field post without the prefix.
pub fn routes(config: &mut ServiceConfig, api: &Arc<Api>) {
    config.app_data(web::Data::from(Arc::clone(api)));
    for path in ["/api/v1/events", "/events"] {
        config.service(web::resource(path).route(web::post().to(events::post)));
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let (code, message) = (error.code(), error.to_string());
        match error {
            Error::MissingCredentials | Error::InvalidCredentials => Problem::unauthorized(code, message),
            Error::UnsupportedContentType => Problem::unsupported_type(code, message),
            Error::UnusableBody(fault) => fault.into(),
            Error::AllRejected => Problem::bad_request(code, message),
            Error::Busy => Problem::unavailable(code, message).retry_in(1),
            Error::CredentialsUnavailable | Error::StorageAway => Problem::unavailable(code, message),
        }
    }
}
