"""The only place that knows the workflow engine."""
