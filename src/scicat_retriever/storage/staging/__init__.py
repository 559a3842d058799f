"""Staging areas, a folder for each kind."""
