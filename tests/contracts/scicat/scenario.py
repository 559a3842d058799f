"""The recorded exchanges with SciCat, as files beside this module.

A scenario file says which entries of a transcript it holds and which it leaves out and why, what state the
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
        source: name of the transcript.
        entries: how many entries the transcript has.
        profile: group settings of the backend.
        jobs: job configuration of the backend.
        unique: texts (pids, archive ids) that a replay renames, to be repeatable on one catalogue.
        setup: requests that make the state the transcript starts from.
        exchanges: what to replay, in this order.
        left_out: entries that are not replayed, with reasons.
    """

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
        """The transcript without its ending."""
        return self.source.removesuffix(".json")


def scenarios() -> list[Scenario]:
    """Read all scenario files."""
    return [_read(path) for path in sorted(FOLDER.glob("*.json"))]


def _read(path: Path) -> Scenario:
    told = json.loads(path.read_text(encoding="utf-8"))
    backend = told["backend"]
    return Scenario(
        told["source"],
        told["entries"],
        backend["profile"],
        backend["jobs"],
        told["unique"],
        told["setup"],
        told["exchanges"],
        told["left_out"],
    )
