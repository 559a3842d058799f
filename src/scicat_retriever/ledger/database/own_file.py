"""Whether a SQLite ledger's file is still the one that was opened.

SQLite goes on with a file that was removed or replaced: what it writes then counts as stored, and is lost.
"""

from __future__ import annotations

from pathlib import Path

from scicat_retriever.domain.errors import LedgerUnavailable


class OwnFile:
    """The file of a ledger, as this process saw it first.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: tuple[int, int] | None = None

    def require(self) -> None:
        """Require that the file is the one that was seen first, before a transaction begins.

        Until a file was seen for the first time, it need not be there.

        Raises:
            LedgerUnavailable: The file was removed, replaced or emptied since.
        """
        found = self._look()
        if self._seen is None:
            self._seen = found
        elif found != self._seen:
            what = "is gone" if found is None else "was replaced by another one, or emptied"
            raise LedgerUnavailable(
                f"The ledger's file {self._path} {what} while the service runs: nothing is stored any more. Put the very file "
                "back, or stop the service and restore a backup."
            )

    def refuse_empty(self) -> None:
        """Refuse a file that is there and has nothing in it: SQLite would take it for a new ledger.

        Raises:
            LedgerUnavailable: The file is there and empty. The message says what to do.
        """
        try:
            empty = self._path.stat().st_size == 0
        except OSError:
            return  # one that is not there is made; what else is wrong SQLite says itself
        if empty:
            raise LedgerUnavailable(
                f"The ledger's file {self._path} is empty, so what was stored in it is lost: restore a backup. If the service "
                "has never run, remove the file, and a new ledger is made."
            )

    def _look(self) -> tuple[int, int] | None:
        """Identify the file; None where there is none, or nothing in it."""
        try:
            found = self._path.stat()
        except FileNotFoundError:
            return None
        except OSError:
            return self._seen  # what is wrong with its folder SQLite says itself
        return (found.st_dev, found.st_ino) if found.st_size else None
