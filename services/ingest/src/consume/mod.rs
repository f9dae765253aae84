//! What comes over the bus.

pub mod domain_events;
mod spoken;
