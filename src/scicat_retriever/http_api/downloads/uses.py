"""The uses of files by downloads: the ledger is told of them, so that the files are not evicted."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from threading import Lock

from starlette.requests import HTTPConnection

from scicat_retriever.domain.errors import LedgerUnavailable
from scicat_retriever.domain.evidence import DatablockKey
from scicat_retriever.http_api.service import service_of
from scicat_retriever.ports.cache import Cache
from scicat_retriever.ports.datablock_record import DatablockRecord

USED_AGAIN_AFTER = timedelta(minutes=1)
"""The shortest time after which the ledger is told again that a file is in use."""
_MOST_KEPT = 10_000


class Uses:
    """The uses that the ledger was told of, once for all downloads of a file.

    A thousand downloads that told the ledger at once would keep it from taking jobs.
    """

    def __init__(self) -> None:
        self._told: dict[DatablockKey, datetime] = {}
        self._lock = Lock()

    def tell(self, record: DatablockRecord, now: datetime, cache: Cache) -> None:
        """Tell the ledger that a file is in use, unless it was told within the last `USED_AGAIN_AFTER`.

        Raises:
            LedgerUnavailable: The ledger cannot be told.
        """
        with self._lock:
            known = [each for each in (record.used_at, self._told.get(record.key)) if each is not None]
            if known and now - max(known) < USED_AGAIN_AFTER:
                return
            cache.note_used(record.key.pid, record.key)
            if len(self._told) >= _MOST_KEPT:
                self._told.clear()
            self._told[record.key] = now


def uses_of(connection: HTTPConnection) -> Uses:
    """Give the uses that the application was made with."""
    uses = connection.app.state.uses
    assert isinstance(uses, Uses)  # noqa: S101 - tells the type checker what `create_app` put there
    return uses


def tell_use(connection: HTTPConnection, record: DatablockRecord) -> None:
    """Tell the ledger that a file is in use. Errors as of `Uses.tell`."""
    service = service_of(connection)
    uses_of(connection).tell(record, service.clock(), service.ledger.cache)


def in_use(connection: HTTPConnection) -> Callable[[DatablockRecord], None]:
    """Give what tells the same in the middle of a download.

    That the ledger does not answer then is no reason to break the download off.
    """

    def tell(record: DatablockRecord) -> None:
        with suppress(LedgerUnavailable):
            tell_use(connection, record)

    return tell
