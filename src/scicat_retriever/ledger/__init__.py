"""The one record of what happened, kept in SQL."""
