"""The folder where commands leave archives until they are copied, cleaned of what a dead service left."""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
import tempfile
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from scicat_retriever.storage.lts.hanging_calls.asking import StoreAway

_ROOM, _NEW, _LOCK = "retriever-fetch-", "retriever-new-", "lock"


class CommandSpool:
    """Gives each fetch a folder of its own, locked (flock(2)) as long as the fetch goes on.

    The first fetch removes folders of older ones that nobody holds locked. On a file system without locks no
    folder is removed that way.

    Args:
        folder: The folder to make them in; None is the system's folder for temporary files.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._sweeping = threading.Lock()
        self._swept = False

    @contextmanager
    def room(self) -> Iterator[Path]:
        """Make a folder that is empty but for its lock. It is removed, with all that is in it, at the end.

        Raises:
            StoreAway: The folder cannot be made.
        """
        with ExitStack() as stack:
            spool = self._folder
            try:
                spool = spool or Path(tempfile.gettempdir())
                with self._sweeping:
                    if not self._swept:
                        _sweep(spool)
                        self._swept = True
                made = _made(spool, stack)
            except OSError as error:
                raise StoreAway(
                    f"the folder {spool or 'for temporary files'} cannot be written: {error.strerror}"
                ) from None
            yield made


def _made(spool: Path, stack: ExitStack) -> Path:
    new = Path(tempfile.mkdtemp(prefix=_NEW, dir=spool))
    cleaning = stack.enter_context(ExitStack())
    cleaning.callback(shutil.rmtree, new, ignore_errors=True)
    lock = _opened_lock(new)
    stack.callback(os.close, lock)
    with suppress(OSError):  # without locks nothing is ever swept
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    # It gets a name that is swept only once it is locked.
    room = new.rename(spool / new.name.replace(_NEW, _ROOM, 1))
    cleaning.pop_all()
    stack.callback(shutil.rmtree, room, ignore_errors=True)
    return room


def _sweep(spool: Path) -> None:
    for left in spool.glob(f"{_ROOM}*"):
        with suppress(OSError), ExitStack() as stack:
            found = left.lstat()
            if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
                continue
            lock = _opened_lock(left)
            stack.callback(os.close, lock)
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(left, ignore_errors=True)


def _opened_lock(folder: Path) -> int:
    return os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
