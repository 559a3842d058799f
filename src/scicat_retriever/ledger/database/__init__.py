"""The database of the ledger: connections, transactions, tables, their upgrades."""
