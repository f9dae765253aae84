//! What this service asks PostgreSQL.

pub mod statistics;
