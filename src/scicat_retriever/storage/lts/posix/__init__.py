"""A long-term store that is a mounted folder."""
