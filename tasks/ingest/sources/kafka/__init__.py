"""Messages of a Kafka topic."""
