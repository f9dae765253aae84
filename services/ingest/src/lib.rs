//! The door for events: authenticates, validates, stores each event once, hands it on.
