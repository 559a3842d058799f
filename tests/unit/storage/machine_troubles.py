"""Machines in trouble: no thread more may be started, or a program's start hangs."""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

_MORE_THAN_THERE_IS = 1 << 47
"""Bytes of a stack that no address space has."""


@contextmanager
def no_thread_can_be_started() -> Iterator[None]:
    """Have every start of a thread fail inside the block, in the system itself."""
    before = threading.stack_size(_MORE_THAN_THERE_IS)
    try:
        yield
    finally:
        threading.stack_size(before)


@contextmanager
def hung_program(folder: Path) -> Iterator[Path]:
    """Give a program whose start hangs, as on a dead mount: while this process has a lease on it, its opening waits."""
    program = folder / "program"
    shutil.copy("/bin/true", program)
    before = signal.signal(signal.SIGIO, signal.SIG_IGN)  # by which the kernel asks for the lease back
    lease = os.open(program, os.O_RDONLY)
    try:
        try:
            fcntl.fcntl(lease, fcntl.F_SETLEASE, fcntl.F_WRLCK)
        except OSError as error:
            pytest.skip(f"no leases here: {error}")
        yield program
    finally:
        os.close(lease)
        signal.signal(signal.SIGIO, before)
