//! The route table.

pub mod feed;
pub mod ranking;
pub mod statistics;

use crate::kept::Kept;
use crate::ranking::OfTenant;
use crate::statistics::OfWorkflow;
use actix_web::web::Data;
use actix_web::web::ServiceConfig;
use pg::Db;
use web::Identity;
use web::openapi::{About, Api};

/// What the handlers lean on.
#[derive(Clone)]
pub struct Answers {
    pub statistics: Data<Kept<OfWorkflow>>,
    pub rankings: Data<Kept<OfTenant>>,
    pub db: Data<Db>,
}

const ABOUT: About = About {
    title: "Goalpost: analytics",
    description: "How often and how fast the goals of workflows are reached, and what happened lately. A caller is judged before anything else of a \
        request is looked at; another tenant's workflow answers as one that is not there.",
    tags: &[("statistics", "Conversions, and the time they took."), ("events", "What is stored.")],
};

/// Every operation of this service.
pub fn operations() -> Api {
    Api::new(ABOUT, vec![statistics::operation(), ranking::operation(), feed::operation()])
}

/// Puts the routes in place, and what their handlers work with.
pub fn routes(config: &mut ServiceConfig, operations: &Api, answers: &Answers, identity: &Identity) {
    config
        .app_data(answers.statistics.clone())
        .app_data(answers.rankings.clone())
        .app_data(answers.db.clone())
        .app_data(Data::new(identity.clone()));
    operations.register(config);
}
