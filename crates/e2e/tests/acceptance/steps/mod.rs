//! The sentences of the features. Few and general: what is configured, who is enrolled, what happens, what comes of it.

pub mod commands;
mod configuration;
mod enrollments;
mod events;
mod figures;
mod outcome;
mod people;
mod tenants;
