"""The processes of the service: the API, the worker, and the supervisor that runs both with an engine of their own."""
