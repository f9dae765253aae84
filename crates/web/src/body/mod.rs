//! Request bodies: read with a bound on time and size, then taken apart with the fault's place named.

mod json;
mod read;
pub(crate) mod strict;

pub use json::{json, text};
pub use read::{Limits, read, read_encoded};
pub use strict::Strict;
