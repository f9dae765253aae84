//! RabbitMQ: topology, supervisor, confirmed publisher, consumer loop, relay.
