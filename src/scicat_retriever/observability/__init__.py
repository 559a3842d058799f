"""Logs, by which operators see what the service does."""
