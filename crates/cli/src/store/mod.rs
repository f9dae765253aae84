//! What the command line asks of the database itself, beyond what `pg` and the services do.

pub mod audit;
pub mod operators;
pub mod readers;
pub mod tenants;
