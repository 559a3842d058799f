"""What the stand-in remembers: datasets, datablocks, original datablocks and jobs, in memory.

Look-ups go through indexes, so that thousands of datablocks or a hundred thousand files cost linear time.
"""

import itertools
import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from stand_ins.scicat.answers import JsonObject


class Clock:
    """Gives SciCat's time stamps; each is at least one millisecond after the one before."""

    def __init__(self) -> None:
        self._last = datetime.now(UTC)

    def now(self) -> str:
        """Give the present as ISO 8601 in UTC with milliseconds and ``Z``."""
        self._last = max(datetime.now(UTC), self._last + timedelta(milliseconds=1))
        return iso(self._last)


def iso(moment: datetime) -> str:
    """Write a UTC moment as SciCat does: ``2026-01-02T03:04:05.000Z``."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class ObjectIds:
    """Gives ids that look like MongoDB's: 24 hexadecimal digits."""

    def __init__(self) -> None:
        self._prefix = secrets.token_hex(8)
        self._counter = itertools.count(1)

    def next(self) -> str:
        """Give a new id."""
        return f"{self._prefix}{next(self._counter):08x}"


@dataclass
class Blocks:
    """A collection of datablocks (or original datablocks) with its indexes."""

    by_id: dict[str, JsonObject] = field(default_factory=dict)
    by_dataset: dict[str, list[JsonObject]] = field(default_factory=dict)
    archive_ids: set[str] = field(default_factory=set)

    def add(self, block: JsonObject) -> None:
        """Remember a block."""
        self.by_id[block["_id"]] = block
        self.by_dataset.setdefault(block["datasetId"], []).append(block)
        if "archiveId" in block:
            self.archive_ids.add(block["archiveId"])

    def of(self, pid: str) -> list[JsonObject]:
        """Give the blocks of a dataset in the order of their creation."""
        return self.by_dataset.get(pid, [])

    def remove(self, block: JsonObject) -> None:
        """Forget a block."""
        del self.by_id[block["_id"]]
        self.by_dataset[block["datasetId"]].remove(block)
        self.archive_ids.discard(block.get("archiveId", ""))

    def remove_dataset(self, pid: str) -> None:
        """Forget the blocks of a dataset."""
        for block in self.by_dataset.pop(pid, []):
            del self.by_id[block["_id"]]
            self.archive_ids.discard(block.get("archiveId", ""))


@dataclass
class Store:
    """All records, as SciCat v4 would show them."""

    clock: Clock = field(default_factory=Clock)
    ids: ObjectIds = field(default_factory=ObjectIds)
    datasets: dict[str, JsonObject] = field(default_factory=dict)
    datablocks: Blocks = field(default_factory=Blocks)
    origdatablocks: Blocks = field(default_factory=Blocks)
    jobs: dict[str, JsonObject] = field(default_factory=dict)
    started: str = field(default_factory=lambda: iso(datetime.now(UTC)))
    """When the backend was started; SciCat takes it for the dates of a new lifecycle."""

    def remove_dataset(self, pid: str, *, with_datablocks: bool = True) -> JsonObject | None:
        """Forget a dataset, with its blocks or without them; gives the dataset, or None if there was none."""
        if with_datablocks:
            self.datablocks.remove_dataset(pid)
            self.origdatablocks.remove_dataset(pid)
        return self.datasets.pop(pid, None)
