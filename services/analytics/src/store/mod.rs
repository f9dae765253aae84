//! What this service asks PostgreSQL.

pub mod feed;
pub mod ranking;
pub mod reached;
pub mod statistics;
