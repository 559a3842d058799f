"""How values of the domain are written into a column and read back, the same on SQLite and PostgreSQL."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime

from sqlalchemy import DateTime, Dialect, Text
from sqlalchemy.types import TypeDecorator

from scicat_retriever.domain.errors import Actor, Cause, Failure

_UNSTORABLE = re.compile(r"[\\\x00\ud800-\udfff]")
_ESCAPED = re.compile(r"\\u([0-9a-f]{4})")


class ExactText(TypeDecorator[str]):
    """Text that comes back as it went in, whatever it holds.

    JSON from the network may hold NUL, which PostgreSQL refuses, and lone surrogates, which have no UTF-8.
    Both, and the backslash, are kept in JSON's own way: a backslash, `u`, and four hexadecimal digits.
    """

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:  # noqa: ARG002
        """Escape what a database would refuse."""
        if value is None:
            return None
        return _UNSTORABLE.sub(lambda found: f"\\u{ord(found[0]):04x}", str(value))

    def process_result_value(self, value: str | None, dialect: Dialect) -> str | None:  # noqa: ARG002
        """Undo the escapes."""
        if value is None or "\\" not in value:
            return value
        return _ESCAPED.sub(lambda found: chr(int(found[1], 16)), value)


class UtcTime(TypeDecorator[datetime]):
    """A moment, aware, stored as UTC. SQLite keeps no zone, so it is given back here."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Turn any aware moment into UTC; a naive one is a fault of the caller."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a moment without a time zone cannot be stored")
        utc = value.astimezone(UTC)
        return utc.replace(tzinfo=None) if dialect.name == "sqlite" else utc

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Give the moment back, aware."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Failures(TypeDecorator[tuple[Failure, ...]]):
    """Failures as a JSON list, escaped to ASCII."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: tuple[Failure, ...] | None, dialect: Dialect) -> str:  # noqa: ARG002
        """Write the failures down in their order."""
        return json.dumps([[f.code, f.message, f.who, f.cause, f.archive_id] for f in value or ()])

    def process_result_value(self, value: str | None, dialect: Dialect) -> tuple[Failure, ...]:  # noqa: ARG002
        """Read the failures back."""
        return tuple(
            Failure(code, message, Actor(who), Cause(cause), archive_id)
            for code, message, who, cause, archive_id in json.loads(value or "[]")
        )
