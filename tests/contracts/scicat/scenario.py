"""The recorded exchanges with SciCat, as files beside this module.

Each release has a folder: what was recorded with it, and below ``replayed`` the scenarios of 4.27 with the answers that
it gave to them. A scenario file says which entries of a transcript it holds and which it leaves out and why, what state the
transcript starts from, and what the backend's configuration was.
"""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "transcripts"


@dataclass(frozen=True)
class Scenario:
    """One transcript to replay.

    Attributes:
        folder: where it is: the release that answered, and ``replayed`` for scenarios of 4.27.
        source: name of the transcript.
        entries: how many entries the transcript has.
        profile: group settings of the backend.
        jobs: job configuration of the backend.
        unique: texts (pids, archive ids) that a replay renames, to be repeatable on one catalogue.
        setup: requests that make the state the transcript starts from.
        exchanges: what to replay, in this order.
        left_out: entries that are not replayed, with reasons.
    """

    folder: str
    source: str
    entries: int
    profile: str
    jobs: str
    unique: list[str]
    setup: list[dict[str, Any]] = field(repr=False)
    exchanges: list[dict[str, Any]] = field(repr=False)
    left_out: list[dict[str, Any]] = field(repr=False)

    @property
    def name(self) -> str:
        """The release, whether its own transcript or one of 4.27, and the transcript without its ending."""
        return f"{self.folder}/{self.source.removesuffix('.json')}"

    @property
    def release(self) -> str:
        """The release that answered, by its name."""
        return self.folder.partition("/")[0]


def scenarios() -> list[Scenario]:
    """Read all scenario files."""
    return [_read(path) for path in sorted(FOLDER.glob("**/*.json"))]


def _read(path: Path) -> Scenario:
    told = json.loads(path.read_text(encoding="utf-8"))
    backend = told["backend"]
    return Scenario(
        path.parent.relative_to(FOLDER).as_posix(),
        told["source"],
        told["entries"],
        backend["profile"],
        backend["jobs"],
        told["unique"],
        told["setup"],
        told["exchanges"],
        told["left_out"],
    )
