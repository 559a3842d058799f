"""The books of jobs: what was asked for, how far it is, and which flows carry it out."""
