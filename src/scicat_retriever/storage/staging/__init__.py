"""Staging areas, one module each."""
