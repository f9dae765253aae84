//! What this service asks PostgreSQL.

pub mod keys;
pub mod statistics;
