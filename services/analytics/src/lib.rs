//! Goal statistics.
