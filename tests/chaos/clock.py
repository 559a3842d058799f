"""The service's wall clock, moved by a few lines of C that are preloaded into each of its processes.

libfaketime would do it without a compiler, but breaks Python's `time.sleep`, which waits on the monotonic clock.
"""

from __future__ import annotations

import shutil
import struct
import subprocess
from collections.abc import Mapping
from pathlib import Path


class Clock:
    """The wall clock of the service's Python processes; their monotonic clock, and the engine's clock, stay.

    Args:
        root: A folder for the library and for the file that says how far the clock is ahead.
    """

    def __init__(self, root: Path) -> None:
        self._ahead = root / "clock.ahead"
        self._ahead.write_bytes(struct.pack("=q", 0))
        self._library = _compiled(root / "clock.so")

    @property
    def can_move(self) -> bool:
        """Whether there is a C compiler."""
        return self._library is not None

    @property
    def environment(self) -> Mapping[str, str]:
        """What the service is started with."""
        if self._library is None:
            return {}
        return {"LD_PRELOAD": str(self._library), "CHAOS_CLOCK": str(self._ahead)}

    def move(self, seconds: int) -> None:
        """Set how far the clock is ahead."""
        with self._ahead.open("r+b", buffering=0) as file:
            file.write(struct.pack("=q", seconds))


def _compiled(library: Path) -> Path | None:
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        return None
    source = Path(__file__).with_name("clock.c")
    words = [compiler, "-O2", "-shared", "-fPIC", "-o", str(library), str(source), "-ldl"]
    return library if subprocess.run(words, capture_output=True, check=False).returncode == 0 else None
