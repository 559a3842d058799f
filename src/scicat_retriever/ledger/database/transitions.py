"""The book of transitions: every change of state, with its time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Literal

from sqlalchemy import Connection, insert

from scicat_retriever.domain.errors import TransitionIllegal
from scicat_retriever.domain.states import may_become
from scicat_retriever.ledger.database.schema import transitions

_BOOK = insert(transitions)

Clock = Callable[[], datetime]
"""Gives the moment, aware, in UTC."""


@dataclass(frozen=True, slots=True)
class TransitionSubject:
    """Whose state changed: a job, a dataset of a job, a datablock, or a report of a job or a dataset."""

    kind: Literal["job", "dataset", "datablock", "report"]
    job_id: str | None = None
    pid: str | None = None
    datablock: str | None = None

    def __str__(self) -> str:
        named = {"job": self.job_id, "dataset": self.pid, "datablock": self.datablock}
        return " of ".join(f"{kind} {name}" for kind, name in reversed(named.items()) if name is not None)


def require_legal(subject: TransitionSubject, old: StrEnum, new: StrEnum) -> None:
    """Refuse a change of state that `domain.states` does not allow.

    Raises:
        TransitionIllegal: `new` must not follow `old`.
    """
    if not may_become(old, new):
        raise TransitionIllegal(f"The {subject} is {old} and cannot become {new}.")


class TransitionLog:
    """The book of transitions.

    Args:
        clock: Gives the time of each change.

    Attributes:
        clock: The same.
    """

    def __init__(self, clock: Clock) -> None:
        self.clock = clock

    def enter(
        self,
        connection: Connection,
        subject: TransitionSubject,
        old: StrEnum | None,
        new: StrEnum,
        reason: str = "",
    ) -> None:
        """Write a change of state into the book; nothing where the state stays the same."""
        if old != new:
            self.enter_all(connection, [(subject, old)], new, reason)

    def enter_all(
        self,
        connection: Connection,
        changed: Sequence[tuple[TransitionSubject, StrEnum | None]],
        new: StrEnum,
        reason: str = "",
    ) -> None:
        """Write one change of state of each subject, given with its old state, into the book."""
        now = self.clock()
        entries = [
            {
                "at": now,
                "kind": subject.kind,
                "job_id": subject.job_id,
                "pid": subject.pid,
                "datablock": subject.datablock,
                "old": old or "",
                "new": new,
                "reason": reason,
            }
            for subject, old in changed
        ]
        if entries:
            connection.execute(_BOOK, entries)
