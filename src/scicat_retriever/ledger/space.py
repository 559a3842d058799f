"""The part of the SQL ledger that shares staging space out."""

from __future__ import annotations

from sqlalchemy import Connection, and_, func, insert, not_, select

from scicat_retriever.domain.errors import TransitionIllegal
from scicat_retriever.domain.evidence import DatablockKey
from scicat_retriever.domain.states import DatablockState
from scicat_retriever.ledger.datablock_rows import BEFORE_COPIED, DatablockRows
from scicat_retriever.ledger.schema import datablocks, reservations

_MAY_RESERVE = BEFORE_COPIED | {DatablockState.COPIED}


class SpacePart(DatablockRows):
    """Reservations, as `ports.ledger.Ledger` promises."""

    def reserve(self, key: DatablockKey, size: int, free_bytes: int) -> int:
        """Set staging space aside for a datablock."""
        with self._database.writing() as connection:
            # The order of locks is the same in every step, row before space, so that no two steps block each other.
            row = self._lock_row(connection, key, "given space")
            if row.state not in _MAY_RESERVE:
                raise TransitionIllegal(f"Datablock {key.id} of {key.pid} is {row.state} and needs no space.")
            self._database.lock(connection, "staging space")
            self._forget_reservation(connection, key)
            missing = size - (free_bytes - _promised(connection))
            if missing > 0:
                return missing
            connection.execute(insert(reservations).values(pid=key.pid, datablock=key.id, bytes=size))
            return 0

    def forget_reservation(self, key: DatablockKey) -> None:
        """Give reserved staging space back."""
        with self._database.writing() as connection:
            self._forget_reservation(connection, key)


def _promised(connection: Connection) -> int:
    """Bytes that are set aside and not yet written."""
    unwritten = reservations.c.bytes - datablocks.c.bytes_done
    its_datablock = and_(reservations.c.pid == datablocks.c.pid, reservations.c.datablock == datablocks.c.id)
    total = select(func.sum(unwritten)).join_from(reservations, datablocks, its_datablock)
    return int(connection.scalar(total.where(not_(unwritten < 0))) or 0)
