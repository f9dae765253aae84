//! The route table.

pub mod statistics;

use crate::statistics::Answers;
use actix_web::web::{Data, ServiceConfig};
use web::Identity;
use web::openapi::{About, Api};

const ABOUT: About = About {
    title: "Goalpost: analytics",
    description: "How often and how fast the goals of workflows are reached. A caller is judged before anything else of a \
        request is looked at; another tenant's workflow answers as one that is not there.",
    tags: &[("statistics", "Conversions, and the time they took.")],
};

/// Every operation of this service.
pub fn operations() -> Api {
    Api::new(ABOUT, vec![statistics::operation()])
}

/// Puts the routes in place, and what their handlers work with.
pub fn routes(config: &mut ServiceConfig, operations: &Api, answers: &Data<Answers>, identity: &Identity) {
    config.app_data(answers.clone()).app_data(Data::new(identity.clone()));
    operations.register(config);
}
