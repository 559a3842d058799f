"""The tape system of the test: a library whose clock runs fast, behind the WLCG Tape REST API, on a port that can be closed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from random import Random

from stand_ins.tape.library import TapeLibrary
from stand_ins.tape.rest_server import TapeRestServer
from stand_ins.tape.shape import LibraryShape, sped_up
from tests.chaos.wire import Line, Wire

LOCATION = "TapeArchive"
"""What SciCat says of datasets that are here."""
LABELS = ("VB0001", "VB0002", "VB0003")
SPEED = 60.0
_SHAPE = LibraryShape(
    drives=2, mount_seconds=30, unmount_seconds=10, seek_seconds=2, bytes_per_second=1e6, linger_seconds=30
)
"""A mount takes half a second of ours, and the largest archive 0.2 s."""
_ROOT = "/archive"
_TOKEN = "a-token-of-the-tape-system"


class Tapes:
    """Holds archives, each on one of a few tapes, which its archiveId begins with.

    Args:
        rng: Decides the tapes.

    Attributes:
        library: Where the archives are.
        server: Its API.
        wire: Before the API: what is between it and the service.
        line: The port.
    """

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self.library = TapeLibrary(_SHAPE, clock=sped_up(SPEED))
        self.server = TapeRestServer(self.library, root=_ROOT, tokens=[_TOKEN])
        self.wire = Wire(self.server.app)
        self.line = Line(self.wire)

    def settings(self, timeout: float) -> Mapping[str, object]:
        """Give the settings of the store.

        Args:
            timeout: How long it may be silent, seconds.
        """
        return {
            "kind": "wlcg_tape",
            "url": self.line.url,
            "root_path": _ROOT,
            "token": _TOKEN,
            "answer_timeout": timeout,
            "read_timeout": timeout,
            "locations": [LOCATION],
            "recalls": {"mount_age": 0.3, "collect_time": 0.3, "linger": 0.5},
            "tape_places": {"kind": "pattern", "pattern": "^(?P<tape>VB[0-9]{4})/"},
        }

    def some_tape(self) -> str:
        """Give the label of one."""
        return self._rng.choice(LABELS)

    def write(self, archive_id: str, content: Path) -> None:
        """Write an archive to the tape that its archiveId names; its bytes stay in the file."""
        self.library.store(archive_id, content, tape=archive_id.partition("/")[0])

    def of_dataset(self, name: str) -> list[str]:
        """Give the archiveIds that a dataset has here; `name` is the part of its pid after the prefix."""
        return [each for each in self.library.names() if each.partition("/")[2].startswith(f"{name}-")]
