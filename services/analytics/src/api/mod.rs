//! The route table.

pub mod ranking;
pub mod statistics;

use crate::kept::Kept;
use crate::limit::Limit;
use crate::ranking::OfTenant;
use crate::statistics::OfWorkflow;
use actix_web::web::{Data, ServiceConfig};
use web::Keys;
use web::openapi::{About, Api as OpenApi};

/// What the handlers lean on.
pub struct Api {
    pub statistics: Kept<OfWorkflow>,
    pub rankings: Kept<OfTenant>,
    pub limit: Limit,
}

const ABOUT: About = About {
    title: "Goalpost: analytics",
    description: "How often and how fast the goals of workflows are reached. A caller is judged before anything else of a \
        request is looked at; another tenant's workflow answers as one that is not there.",
    tags: &[("statistics", "Conversions, and the time they took.")],
};

/// Every operation of this service.
pub fn operations() -> OpenApi {
    OpenApi::new(ABOUT, vec![statistics::operation(), ranking::operation()])
}

/// Puts the routes in place, and what their handlers work with.
pub fn routes(config: &mut ServiceConfig, operations: &OpenApi, api: &Data<Api>, keys: &Keys) {
    config.app_data(api.clone()).app_data(Data::new(keys.clone()));
    operations.register(config);
}
