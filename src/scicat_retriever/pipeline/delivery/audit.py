"""What was downloaded is kept for a while, and then forgotten."""

from __future__ import annotations

from datetime import timedelta

from scicat_retriever.pipeline.tools.toolbox import Toolbox

BATCH = 500
"""Rows that are forgotten in one transaction, so that the ledger is not held for long."""
MOST = 50 * BATCH
"""Rows that are forgotten in one look; the next one goes on."""


def forget_old(kept: timedelta, tools: Toolbox) -> int:
    """Forget downloads that began longer ago than `kept`, at most `MOST`. Gives their number.

    Raises:
        LedgerUnavailable: The ledger does not answer.
    """
    before, count = tools.clock() - kept, 0
    while count < MOST:
        gone = tools.ledger.downloads.forget(before, BATCH)
        count += gone
        if gone < BATCH:
            break
    return count
