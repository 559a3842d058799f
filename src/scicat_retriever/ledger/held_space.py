"""How much of the staging area is held: one number, kept right by whoever changes what a datablock holds.

Summing it up each time would make every claim as slow as the staging area is large.

Locks are taken in this order, so that no two transactions block each other: jobs, datasets (`Database.lock_datasets`),
rows of datablocks, the sum, claims. Who holds the sum and goes on to rows of datablocks holds their datasets already.
"""

from __future__ import annotations

from sqlalchemy import Connection, bindparam, select, update

from scicat_retriever.ledger.part import LedgerPart
from scicat_retriever.ledger.schema import space

_LOCKED = select(space.c.staged).with_for_update()
_CHANGED = update(space).values(staged=space.c.staged + bindparam("by"))


class HeldSpace(LedgerPart):
    """What the parts that deal with staging space share."""

    def _lock_space(self, connection: Connection) -> int:
        """Give the bytes held; nobody else claims space, or holds other bytes, until the transaction ends."""
        return int(connection.scalar(_LOCKED) or 0)

    def _change_held(self, connection: Connection, by: int) -> None:
        """Hold so many bytes more, or less."""
        if by:
            connection.execute(_CHANGED, {"by": by})
