"""Reads that hang or fail: fanotify(7) permission events hold each read of an archive until it is answered.

It takes CAP_SYS_ADMIN in the first user namespace, that is, root.
"""

from __future__ import annotations

import ctypes
import os
import select
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_CLOEXEC, _CLASS_CONTENT, _NONBLOCK = 0x1, 0x4, 0x2
_MARK_ADD, _ACCESS_PERM = 0x1, 0x20000
_ALLOW, _DENY = 0x1, 0x2
_AT_FDCWD = -100
_EVENT = struct.Struct("=IBBHQii")


def can_hold() -> bool:
    """Whether this system lets the driver hold reads."""
    group = _group()
    if group >= 0:
        os.close(group)
    return group >= 0


def _group() -> int:
    libc = ctypes.CDLL(None, use_errno=True)
    group: int = libc.fanotify_init(_CLOEXEC | _CLASS_CONTENT | _NONBLOCK, os.O_RDONLY)
    return group


@contextmanager
def held(archives: list[Path], *, refuse: bool) -> Iterator[threading.Event]:
    """Hold (or refuse) every read of some archives while the context lasts; gives what is set by the first one.

    Args:
        archives: The files; the driver itself must not read them meanwhile.
        refuse: Whether reads fail at once (EPERM) rather than hang.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    group = _group()
    if group < 0:
        raise OSError("fanotify takes root")
    for archive in archives:
        libc.fanotify_mark(group, _MARK_ADD, ctypes.c_uint64(_ACCESS_PERM), _AT_FDCWD, bytes(archive))
    first, over = threading.Event(), threading.Event()
    waiting: list[int] = []

    def serve() -> None:
        while not over.is_set():
            if not select.select([group], [], [], 0.02)[0]:
                continue
            for descriptor in _descriptors(group):
                first.set()
                if refuse:
                    _answer(group, descriptor, _DENY)
                else:
                    waiting.append(descriptor)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield first
    finally:
        over.set()
        thread.join()
        for descriptor in waiting:
            _answer(group, descriptor, _ALLOW)
        os.close(group)  # the kernel lets through what came in between


def _descriptors(group: int) -> Iterator[int]:
    try:
        events = os.read(group, 4096)
    except BlockingIOError:
        return
    while events:
        length, _, _, _, _, descriptor, _ = _EVENT.unpack_from(events)
        events = events[length:]
        yield descriptor


def _answer(group: int, descriptor: int, answer: int) -> None:
    os.write(group, struct.pack("=iI", descriptor, answer))
    os.close(descriptor)
