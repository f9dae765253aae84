//! One skeleton for every main: settings, telemetry, supervised tasks, bounded shutdown.
