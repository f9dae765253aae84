//! The exchanges. Only these; `goalpost-bus` declares them.

/// Topic: domain events that other systems publish; the routing key is the event name.
pub const DOMAIN: &str = "goalpost.domain";
/// Topic: stored events, in chunks of one tenant.
pub const EVENTS: &str = "goalpost.events";
/// Topic: facts, one message each.
pub const WORKFLOW: &str = "goalpost.workflow";
/// Direct: requests; the routing key is the command.
pub const COMMANDS: &str = "goalpost.commands";
/// Topic: messages given up; the routing key is the queue they died in.
pub const DEAD: &str = "goalpost.dead";
