//! The route table.

pub mod statistics;

use crate::limit::Limit;
use crate::statistics::Answers;
use actix_web::web::{Data, ServiceConfig, get};
use web::Keys;

/// What the handlers lean on.
pub struct Api {
    pub answers: Answers,
    pub limit: Limit,
}

/// Registers every route of the service.
pub fn routes(config: &mut ServiceConfig, api: &Data<Api>, keys: &Keys) {
    config
        .app_data(api.clone())
        .app_data(Data::new(keys.clone()))
        .route("/api/v1/workflows/{workflow_id}/goals/stats", get().to(statistics::read));
}
