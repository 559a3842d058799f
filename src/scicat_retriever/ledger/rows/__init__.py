"""Rows that several books of the ledger read and write, as functions over a connection."""
