//! The OpenAPI document of a service and its routes, from one list of operations: what is not described is not served.

mod demands;
mod docs;
mod document;
mod operation;
mod problems;
pub mod schema;
mod shared;

pub use demands::Demands;
pub use document::{About, Api};
pub use operation::Operation;
pub use problems::{CRITERIA, EXACT_JSON};
