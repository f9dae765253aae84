//! Tests of the whole, against the real processes.
