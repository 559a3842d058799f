"""The processes of the service: API, worker, consumer, and the supervisor that runs them with an engine."""
