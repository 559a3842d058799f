"""A long-term store in memory, with a tape that delivers when it is told to. Keeps the promises of the port."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from scicat_retriever.domain.errors import (
    ArchiveIdUnsafe,
    ArchiveLost,
    DatablockMissing,
    DatablockUnreadable,
    RecallError,
    StoreUnavailable,
)
from scicat_retriever.domain.ids import ArchiveId
from scicat_retriever.ports.long_term_store import (
    AskedArchive,
    Capabilities,
    Locality,
    RecallState,
    TapePosition,
)


@dataclass
class _Archive:
    content: bytes
    locality: Locality = Locality.ONLINE
    reason: str = ""
    lost: str = ""
    request: str = ""
    forbidden: bool = False
    fails_after: int | None = None
    stalls_after: int | None = None


class InMemoryLongTermStore:
    """Archives in a dict. A recall that really begins is named `recall-1`, `recall-2` ...; one that is joined keeps its name.

    Args:
        delivers_at_once: Whether a requested recall is there at the next look; else `deliver` brings it.

    Attributes:
        capabilities: What it can do.
        requested: The archiveIds whose recall was asked for, once per recall that really began.
        opened: The archiveIds that were opened, in order.
        released: The archiveIds that were released, in order.
        read: The first byte and the length of each piece that was read, in order.
        looks: How often it was asked where archives are, in vain or not.
    """

    def __init__(self, *, delivers_at_once: bool = False) -> None:
        self.capabilities = Capabilities(ranges=True, tape_positions=True, batch=100)
        self.requested: list[ArchiveId] = []
        self.opened: list[ArchiveId] = []
        self.released: list[ArchiveId] = []
        self.read: list[tuple[int, int]] = []
        self.looks = 0
        self._delivers_at_once = delivers_at_once
        self._archives: dict[ArchiveId, _Archive] = {}
        self._places: dict[ArchiveId, TapePosition] = {}
        self._away = ""
        self._changed = threading.Condition()

    # What a test does to the store.

    def put(self, archive_id: str, content: bytes, *, on_tape: bool = False) -> None:
        """Archive something, or replace it."""
        locality = Locality.OFFLINE if on_tape else Locality.ONLINE
        with self._changed:
            self._archives[ArchiveId(archive_id)] = _Archive(content, locality)

    def lose(self, archive_id: str) -> None:
        """Lose an archive."""
        with self._changed:
            del self._archives[ArchiveId(archive_id)]

    def lose_for_good(self, archive_id: str) -> None:
        """Lose an archive, and know it."""
        with self._changed:
            self._archives[ArchiveId(archive_id)].lost = "its tape is broken"

    def place(self, archive_id: str, tape: str, position: int = 0) -> None:
        """Say on which tape an archive lies."""
        self._places[ArchiveId(archive_id)] = TapePosition(tape, position)

    def deliver(self, archive_id: str) -> None:
        """Bring an archive back from tape; blocked reads go on."""
        self._set(archive_id, Locality.ONLINE, "")

    def fail_recall(self, archive_id: str, reason: str) -> None:
        """End the recall under way with a failure; it may be asked for again."""
        self._set(archive_id, Locality.OFFLINE, f"its recall failed: {reason}")

    def forbid(self, archive_id: str) -> None:
        """Let an archive be read no more."""
        self._archives[ArchiveId(archive_id)].forbidden = True

    def break_reads(self, archive_id: str, after: int) -> None:
        """Have every read of an archive fail with an I/O error after so many bytes."""
        self._archives[ArchiveId(archive_id)].fails_after = after

    def stall_reads(self, archive_id: str, after: int) -> None:
        """Have every read of an archive block after so many bytes, until `mend_reads`."""
        self._archives[ArchiveId(archive_id)].stalls_after = after

    def mend_reads(self, archive_id: str) -> None:
        """Have an archive's reads neither fail nor block any longer."""
        with self._changed:
            archive = self._archives[ArchiveId(archive_id)]
            archive.fails_after = archive.stalls_after = None
            self._changed.notify_all()

    def go_away(self, reason: str = "the tape library is down") -> None:
        """Answer nothing any more."""
        self._away = reason

    def come_back(self) -> None:
        """Answer again."""
        self._away = ""

    # The port.

    def request_recalls(self, archive_ids: Sequence[ArchiveId]) -> dict[ArchiveId, str | RecallError]:
        self._answer()
        return {archive_id: _unsafe(archive_id) or self._request(archive_id) for archive_id in archive_ids}

    def recall_states(self, archives: Sequence[AskedArchive]) -> dict[ArchiveId, RecallState | RecallError]:
        self.looks += 1
        self._answer()
        archive_ids = [each.archive_id for each in archives]
        return {archive_id: _unsafe(archive_id) or self._state(archive_id) for archive_id in archive_ids}

    def tape_positions(self, archive_ids: Sequence[ArchiveId]) -> dict[ArchiveId, TapePosition]:
        self._answer()
        return {
            archive_id: self._places[archive_id] for archive_id in archive_ids if archive_id in self._places
        }

    @contextmanager
    def open(
        self, archive_id: ArchiveId, start: int = 0, length: int | None = None
    ) -> Iterator[_InMemorySource]:
        if (unsafe := _unsafe(archive_id)) is not None:
            raise unsafe
        self._answer()
        archive = self._archives.get(archive_id)
        if archive is None:
            raise DatablockMissing.of(archive_id, "the store has no such archive")
        if archive.forbidden:
            raise DatablockUnreadable(f"{archive_id!r} may not be read")
        if archive.lost:
            raise ArchiveLost.of(archive_id, archive.lost)
        self.opened.append(archive_id)
        size = len(archive.content)
        end = size if length is None else min(size, start + length)
        source = _InMemorySource(archive, self._changed, start, end)
        yield source
        self.read.append((start, source.offset - start))

    def let_go(self, archives: Sequence[AskedArchive]) -> None:
        self._answer()
        self.released += [each.archive_id for each in archives if _unsafe(each.archive_id) is None]

    def _request(self, archive_id: ArchiveId) -> str:
        with self._changed:
            archive = self._archives.get(archive_id)
            if archive is not None and archive.locality is Locality.OFFLINE and not archive.lost:
                self.requested.append(archive_id)
                archive.locality, archive.reason = Locality.RECALLING, "waiting for its tape"
                archive.request = f"recall-{len(self.requested)}"
        if archive is not None and archive.locality is Locality.RECALLING and self._delivers_at_once:
            self.deliver(archive_id)
        return "" if archive is None else archive.request

    def _state(self, archive_id: ArchiveId) -> RecallState | RecallError:
        with self._changed:
            archive = self._archives.get(archive_id)
            if archive is None:
                return DatablockMissing.of(archive_id, "the store has no such archive")
            if archive.forbidden:
                return DatablockUnreadable(f"{archive_id!r} may not be read")
            if archive.lost:
                return ArchiveLost.of(archive_id, archive.lost)
            return RecallState(archive.locality, len(archive.content), archive.reason)

    def _set(self, archive_id: str, locality: Locality, reason: str) -> None:
        with self._changed:
            archive = self._archives[ArchiveId(archive_id)]
            archive.locality, archive.reason = locality, reason
            self._changed.notify_all()

    def _answer(self) -> None:
        if self._away:
            raise StoreUnavailable(self._away)


def _unsafe(archive_id: ArchiveId) -> ArchiveIdUnsafe | None:
    unsafe = not archive_id or archive_id.startswith("/") or "\0" in archive_id
    if unsafe or ".." in archive_id.split("/"):
        return ArchiveIdUnsafe(f"the archiveId {archive_id!r} leads outside the store")
    return None


class _InMemorySource:
    """An open archive; reading one that is on tape blocks until it is delivered, as on an HSM."""

    def __init__(self, archive: _Archive, changed: threading.Condition, start: int, end: int) -> None:
        self._archive = archive
        self._changed = changed
        self.offset = start
        self._end = end

    def readinto(self, buffer: memoryview) -> int:
        archive, end = self._archive, min(self._end, self.offset + len(buffer))
        with self._changed:
            self._changed.wait_for(
                lambda: (
                    archive.locality is Locality.ONLINE
                    and (archive.stalls_after is None or self.offset < archive.stalls_after)
                )
            )
        if archive.fails_after is not None:
            if self.offset >= archive.fails_after:
                raise OSError(5, "Input/output error")
            end = min(end, archive.fails_after)
        if archive.stalls_after is not None:
            end = min(end, archive.stalls_after)
        chunk = archive.content[self.offset : end]
        buffer[: len(chunk)] = chunk
        self.offset += len(chunk)
        return len(chunk)
