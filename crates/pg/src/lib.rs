//! PostgreSQL: pools, the one way to open a transaction, outbox, dead letters, migrations.
