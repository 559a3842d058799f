"""The ledger."""

from __future__ import annotations

from scicat_retriever.bootstrap.clock import utc_now
from scicat_retriever.ledger.sql import SqlLedger, open_ledger
from scicat_retriever.settings import Settings


def build_ledger(settings: Settings) -> SqlLedger:
    """Open the ledger, and bring its tables up to date."""
    return open_ledger(settings.ledger_url, utc_now)
