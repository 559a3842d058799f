"""Finding a file below a root without ever being led out of it.

Symbolic links inside the root that stay inside are followed, since operators move archives between pools that
way. The links are resolved first, and the resolved path must lie below the root. This path is then walked
folder by folder without following any link, so a link that is put in meanwhile leads nowhere.
`openat2(RESOLVE_BENEATH)` would do it in one call, but refuses absolute links that stay inside, and
containers often forbid it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from scicat_retriever.domain.errors import ArchiveIdUnsafe

_FOLDER = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC


@contextmanager
def located(root: Path, parts: tuple[str, ...]) -> Iterator[int]:
    """Give a descriptor of what stands at `parts` below `root`, closed with the context.

    The descriptor is an `O_PATH` one, for `fstat` and `reopened`. The file may be of any kind; a FIFO does
    not block.

    Raises:
        ArchiveIdUnsafe: The path leads out of the root.
        OSError: Nothing is there, or it may not be looked at.
    """
    real_root = os.path.realpath(root)
    target = os.path.realpath(os.path.join(real_root, *parts))  # noqa: PTH118 - Path would normalize what we check
    if os.path.commonpath([real_root, target]) != real_root:
        raise ArchiveIdUnsafe(
            f"the archiveId that gives {'/'.join(parts)!r} leads out of the store by a link"
        )
    *folders, name = os.path.relpath(target, real_root).split("/")
    here = os.open(real_root, _FOLDER)
    try:
        for folder in folders:
            below = os.open(folder, _FOLDER, dir_fd=here)
            os.close(here)
            here = below
        found = os.open(name, _FILE, dir_fd=here)
    finally:
        os.close(here)
    try:
        yield found
    finally:
        os.close(found)


def reopened(handle: int) -> int:
    """Open for reading the very file that an `O_PATH` descriptor names, even if its path has changed.

    May block for as long as a recall takes.

    Raises:
        OSError: The file may not be read.
    """
    return os.open(f"/proc/self/fd/{handle}", os.O_RDONLY | os.O_CLOEXEC)
