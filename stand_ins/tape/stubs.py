"""The posix front end of a tape library: a folder in which files on tape have their size, and no blocks.

What is on disk in the library has its bytes here. A stub is put in the place of a whole file, and a whole file in the place
of a stub, by rename(2): whoever looks finds one or the other, and never a file with some of its blocks, or with all of them
and not all bytes. Who had a stub open reads zeros from it, as `cp` does on a real HSM; who had the file open keeps its bytes.
A read recalls nothing here, so ask by `python -m stand_ins.tape.recall`.
"""

from __future__ import annotations

import os
import shutil
import socketserver
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from stand_ins.tape.backend import ListedTapeBackend, Locality, TapeFile

SMALLEST = 4096
"""Bytes of the smallest file that may be on tape: a file system keeps smaller ones without blocks, so they look the same."""

REQUEST_BYTES = 2**24
"""The most bytes that a request for recalls may have."""

_CHUNK = 2**20


class StubFolder:
    """A folder that shows what a tape library holds. One thread calls `poll`; `recall` may be called from any.

    Args:
        library: The library; names are relative paths without `..`.
        root: The folder; made, and filled by `poll`.
        lifetime: How long recalled files are kept on disk, seconds of the library's clock.
        spool: A folder on the same file system, for files that are not whole yet; by default beside `root`.
    """

    def __init__(
        self, library: ListedTapeBackend, root: Path, *, lifetime: float = 86_400.0, spool: Path | None = None
    ) -> None:
        self._library = library
        self._root = root
        self._lifetime = lifetime
        self._spool = spool or root.with_name(f"{root.name}.spool")
        self._whole: dict[str, bool] = {}
        """Whether a file has its bytes in the folder, by its name; a name that is missing has no file there."""
        root.mkdir(parents=True, exist_ok=True)
        self._spool.mkdir(parents=True, exist_ok=True)

    def poll(self) -> int:
        """Make the folder what the library is now; gives how many files changed.

        Raises:
            ValueError: A file on tape is too small to be shown as a stub.
        """
        changed = 0
        names = self._library.names()
        for name in names:
            file = self._library.file(name)
            if file is not None:
                changed += self._show(file)
        for name in self._whole.keys() - set(names):
            (self._root / name).unlink(missing_ok=True)
            del self._whole[name]
            changed += 1
        return changed

    def recall(self, paths: Sequence[str]) -> int:
        """Have files recalled; gives how many of these paths are files of the library.

        Args:
            paths: Absolute, or relative to the folder.
        """
        names = [name for path in paths if (name := self._name(path)) and self._library.file(name)]
        self._library.recall(names, self._lifetime)
        return len(names)

    @contextmanager
    def kept(self, *, interval: float = 0.05) -> Iterator[None]:
        """Have a thread call `poll` every `interval` seconds of ours while the context lasts, and once before."""
        self.poll()
        over = threading.Event()

        def work() -> None:
            while not over.wait(interval):
                self.poll()

        thread = threading.Thread(target=work, name="stub-folder", daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    @contextmanager
    def serve(self, address: Path) -> Iterator[None]:
        """Take requests of `stand_ins.tape.recall` on a Unix socket while the context lasts."""
        folder = self

        class Request(socketserver.StreamRequestHandler):
            timeout = 10.0

            def handle(self) -> None:
                asked = self.rfile.read(REQUEST_BYTES + 1)
                if len(asked) > REQUEST_BYTES:
                    return
                paths = os.fsdecode(asked).split("\n")
                paths = [path for path in paths if path]
                self.wfile.write(f"{folder.recall(paths)} {len(paths)}\n".encode())

        with socketserver.ThreadingUnixStreamServer(str(address), Request) as server:
            server.daemon_threads = True
            thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
            thread.start()
            try:
                yield
            finally:
                server.shutdown()
                thread.join()
                address.unlink(missing_ok=True)

    def _name(self, path: str) -> str:
        given = os.path.normpath(self._root / path)
        below = os.path.relpath(given, self._root)
        return "" if below.startswith("..") else below

    def _show(self, file: TapeFile) -> bool:
        on_disk = file.locality in (Locality.DISK, Locality.DISK_AND_TAPE)
        shown = self._whole.get(file.name)
        if on_disk and not shown:
            return self._fill(file)
        if not on_disk and shown is not False:
            self._put_stub(file)
            return True
        return False

    def _put_stub(self, file: TapeFile) -> None:
        if 0 < file.size < SMALLEST:
            raise ValueError(f"{file.name!r} has less than {SMALLEST} bytes: it cannot be a stub")
        made = self._spool / "stub"
        with made.open("wb") as stub:
            stub.truncate(file.size)
        self._put(made, file.name)
        self._whole[file.name] = False

    def _fill(self, file: TapeFile) -> bool:
        made = self._spool / "filling"
        try:
            with self._library.open(file.name) as content, made.open("wb") as whole:
                shutil.copyfileobj(content, whole, _CHUNK)
        except OSError:
            return False  # it left the disk again; the next look tells
        self._put(made, file.name)
        self._whole[file.name] = True
        return True

    def _put(self, made: Path, name: str) -> None:
        path = self._root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists():
            found = path.stat()
            os.utime(made, ns=(found.st_atime_ns, found.st_mtime_ns))
        made.replace(path)
