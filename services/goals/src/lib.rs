//! All configuration: tenants, credentials, workflows, goals, references, activation, listeners, audit.
