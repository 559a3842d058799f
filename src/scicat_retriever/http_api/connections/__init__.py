"""Connections: who may have one, for how long, and what it may cost."""
