"""The book of jobs: what was asked for, and how far it is."""
