"""The root of all errors, and the record that an error is stored and told as."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar, TypeVar

MESSAGE_LIMIT = 1000
"""The most characters of a `Failure`'s message: many failures must fit into one answer of a step."""


class Actor(StrEnum):
    """Who can do something about an error."""

    USER = "user"
    OPERATOR = "operator"
    SYSTEM = "system"


class Cause(StrEnum):
    """Where an error comes from; decides which word SciCat is told.

    USER and DATA are told as `datasetRetrievalFailed`, SYSTEM as `scheduleRetrieveJobFailed`, which
    SciCat's own page shows as a system error.
    """

    USER = "user"
    DATA = "data"
    SYSTEM = "system"


@dataclass(frozen=True, slots=True)
class Failure:
    """An error as it is stored, passed between flows and told to SciCat.

    Attributes:
        code: The error class's code.
        message: What happened and what to do, in a sentence or two, without secrets.
        who: Who acts.
        cause: Where it comes from.
        archive_id: The datablock it is about, where it is about one.
    """

    code: str
    message: str
    who: Actor
    cause: Cause
    archive_id: str | None = None


class RetrieverError(Exception):
    """The root of all errors of the service.

    Class attributes: `code` (stable, snake case), `cause`, `who` acts, `retryable`: whether the same step may
    succeed when simply tried again later, and `limits`: the settings that end the repetitions, the usual one
    first. Which of them it is depends on the step that met the error. A retryable error without limits is
    tried for as long as it takes.
    """

    code: ClassVar[str] = "internal"
    cause: ClassVar[Cause] = Cause.SYSTEM
    who: ClassVar[Actor] = Actor.OPERATOR
    retryable: ClassVar[bool] = False
    limits: ClassVar[tuple[str, ...]] = ()

    def failure(self, archive_id: str | None = None) -> Failure:
        """Give the error as a record, its message cut at `MESSAGE_LIMIT`."""
        message = str(self)
        if len(message) > MESSAGE_LIMIT:
            message = message[: MESSAGE_LIMIT - 1] + "…"
        return Failure(self.code, message, self.who, self.cause, archive_id)


_Error = TypeVar("_Error", bound=RetrieverError)


def error_of(failure: Failure, root: type[_Error]) -> _Error | None:
    """Give the error that a failure records, if its class is `root` or derived from it; else None."""
    for kind in concrete_errors():
        if kind.code == failure.code and issubclass(kind, root):
            return kind(failure.message)
    return None


def concrete_errors(root: type[RetrieverError] = RetrieverError) -> Iterator[type[RetrieverError]]:
    """Give every error class that has a code of its own, branch by branch."""
    for child in root.__subclasses__():
        if "code" in vars(child):
            yield child
        yield from concrete_errors(child)
