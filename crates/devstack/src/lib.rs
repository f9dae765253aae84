//! Private PostgreSQL and RabbitMQ processes, and everything on one machine.
