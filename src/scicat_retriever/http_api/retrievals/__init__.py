"""Retrievals: the page of each job for people, and the same as JSON for programs."""
