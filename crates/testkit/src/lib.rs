//! Test support: a database and a vhost per test, and the tidy test.
