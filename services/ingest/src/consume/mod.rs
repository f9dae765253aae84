//! What comes over the bus.

pub mod domain_events;
pub mod erasure;
mod spoken;
