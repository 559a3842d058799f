"""Disk blocks set aside before a file is written, so that a full disk shows before a tape is mounted."""

from __future__ import annotations

import ctypes
import errno
import os

_KEEP_SIZE = 1
"""FALLOC_FL_KEEP_SIZE of linux/falloc.h: the blocks are taken, and the file's size stays."""

_UNSUPPORTED = frozenset({errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL, errno.EPERM})


def set_aside(descriptor: int, size: int) -> bool:
    """Take blocks for `size` bytes by fallocate(2); gives False where the file system cannot.

    Not `os.posix_fallocate`: where the file system cannot, glibc writes every block instead.

    Raises:
        OSError: ENOSPC, EDQUOT or EFBIG: there is no room. Some file systems keep what they took: remove the
            file.
    """
    if size <= 0:
        return True
    libc = ctypes.CDLL(None, use_errno=True)
    call = getattr(libc, "fallocate64", None) or libc.fallocate  # musl has but one, and 64 bits wide
    call.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64)
    while call(descriptor, _KEEP_SIZE, 0, size) != 0:
        code = ctypes.get_errno()
        if code in _UNSUPPORTED:
            return False
        if code != errno.EINTR:
            raise OSError(code, os.strerror(code))
    return True
