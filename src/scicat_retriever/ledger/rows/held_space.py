"""How much of the staging area is held and claimed: two sums in one row.

Whatever changes a datablock or a claim changes the sums in the same transaction.

Summing up each time would make every claim as slow as the staging area is large.

Locks are taken in this order, so that no two transactions block each other: jobs, datasets
(`Database.lock_datasets`), rows of datablocks, the sums, claims and places in the line. Who holds the sums
and goes on to rows of datablocks holds their datasets already.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, bindparam, select, update

from scicat_retriever.ledger.database.schema import space

_LOCKED = select(space).with_for_update()
_CHANGED = update(space).values(
    staged=space.c.staged + bindparam("more_staged"), claimed=space.c.claimed + bindparam("more_claimed")
)


def change_space(connection: Connection, staged: int = 0, claimed: int = 0) -> None:
    """Add bytes, or take them away if negative, to what is held (`staged`) and to what is claimed."""
    if staged or claimed:
        connection.execute(_CHANGED, {"more_staged": staged, "more_claimed": claimed})


def lock_space(connection: Connection) -> Any:  # noqa: ANN401
    """Give the row of `space`; nobody else claims space, or holds other bytes, until the transaction ends."""
    return connection.execute(_LOCKED).one()
