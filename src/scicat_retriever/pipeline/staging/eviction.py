"""Eviction: what nobody pins stays in staging until its space is needed, and then goes.

The ledger is told first, so that no link is made to what goes, and it remembers the files until they are
gone, whatever happens in between. What was used a moment ago stays, so that no download is cut.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import structlog

from scicat_retriever.domain.errors import StagingError
from scicat_retriever.domain.evidence import DatablockKey
from scicat_retriever.domain.ids import DatasetPid
from scicat_retriever.domain.states import DatablockState, LifecycleWord
from scicat_retriever.pipeline.tools.toolbox import StagingTools
from scicat_retriever.ports.cache import EvictionOrder
from scicat_retriever.ports.catalogue import LifecycleUpdate
from scicat_retriever.ports.datablock_record import DatablockRecord
from scicat_retriever.ports.inventory import Usage
from scicat_retriever.ports.staging_area import Room

BATCH = 100
"""Datablocks looked at together."""
log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Swept:
    """What one sweep did.

    Attributes:
        pins: Pins whose time was over.
        evicted: Datablocks that nobody pinned and whose space was needed, or whose time was over.
        removed: Released datablocks whose files are gone now, the evicted ones not counted.
        claims: Claims of datasets that nobody asked for any more.
    """

    pins: int
    evicted: int
    removed: int
    claims: int


def make_room(wanted: int, tools: StagingTools, reason: str = "its space was needed") -> int:
    """Evict cached datablocks until `wanted` bytes are free or none is left; give the bytes freed."""
    return _evict_until(wanted, tools.cache.order, tools.clock() - tools.cache.spared_time, reason, tools)[0]


def sweep(tools: StagingTools) -> Swept:
    """End what is over, and evict down to the lower mark where staging is fuller than the upper one.

    Raises:
        StagingError: Of the first datablock whose files could not be removed, after all others were looked
            after.
    """
    pins = 0
    while lapsed := tools.ledger.pins.lapse(tools.clock(), BATCH):
        pins += lapsed
    claims = tools.ledger.claims.end_idle()
    evicted = _evict_idle(tools) + _evict_to_mark(tools)
    return Swept(pins, evicted, remove_left_behind(tools), claims)


def evict_dataset(pid: DatasetPid, tools: StagingTools) -> int:
    """Evict the datablocks of one dataset, unless somebody pins it; gives the bytes freed."""
    freed = 0
    for record in tools.ledger.datablocks.of(pid):
        if record.state is DatablockState.STAGED:
            freed += _evict(record, tools.clock(), "an operator evicted it", tools)
    return freed


def remove_left_behind(tools: StagingTools) -> int:
    """Delete the files of released datablocks; give of how many the files are gone.

    Raises:
        StagingError: Of the first one whose files could not be removed, after all others were looked after.
    """
    removed = 0
    failed: list[StagingError] = []
    after: DatablockKey | None = None
    while keys := tools.ledger.inventory.left_behind(BATCH, after):
        after = keys[-1]
        for key in keys:
            record = tools.ledger.datablocks.get(key)
            if record is None or record.state is not DatablockState.RELEASED:
                continue  # it was asked for again meanwhile
            try:
                _remove_files(record, tools)
            except StagingError as error:
                failed.append(error)
            else:
                removed += 1
    if failed:
        raise failed[0]
    return removed


def capacity(room: Room, usage: Usage) -> int:
    """Give the bytes that staging can hold in all, less what others keep on the same file system."""
    if room.free is None:
        return room.total
    return min(room.total, usage.staged + usage.written + room.free)


def _evict_idle(tools: StagingTools) -> int:
    if tools.cache.longest_unpinned is None:
        return 0
    unused_since = tools.clock() - max(tools.cache.longest_unpinned, tools.cache.spared_time)
    reason = "nobody has asked for it for long"
    return _evict_until(None, EvictionOrder.LEAST_RECENTLY_USED, unused_since, reason, tools)[1]


def _evict_to_mark(tools: StagingTools) -> int:
    usage = tools.ledger.inventory.usage()
    whole = capacity(tools.staging.room(), usage)
    used = usage.staged + usage.claimed
    if used <= tools.cache.evict_above * whole:
        return 0
    wanted = used - int(tools.cache.evict_to * whole)
    unused_since = tools.clock() - tools.cache.spared_time
    return _evict_until(wanted, tools.cache.order, unused_since, "staging is filling up", tools)[1]


def _evict_until(
    wanted: int | None, order: EvictionOrder, unused_since: datetime, reason: str, tools: StagingTools
) -> tuple[int, int]:
    """Evict until `wanted` bytes are free or nothing is left; give the bytes freed, and how many went."""
    freed = gone = 0
    while wanted is None or freed < wanted:
        batch = tools.ledger.cache.datablocks(order, unused_since, BATCH)
        freed_before = freed
        for record in batch:
            if wanted is not None and freed >= wanted:
                break
            got = _evict(record, unused_since, reason, tools)
            freed, gone = freed + got, gone + (got > 0)
        if freed == freed_before:
            break
    return freed, gone


def _evict(record: DatablockRecord, unused_since: datetime, reason: str, tools: StagingTools) -> int:
    """Evict one datablock; give the bytes freed.

    None where it was pinned or used meanwhile, or its files stay.
    """
    # Told in the same transaction: later it might come after the word of a new retrieval.
    tell = LifecycleUpdate(LifecycleWord.NOTHING, integrity_check=False) if tools.cache.tell_scicat else None
    if not tools.ledger.cache.evict(record.key, unused_since, reason, tell):
        return 0
    try:
        _remove_files(record, tools)
    except StagingError as error:
        # The ledger remembers it: the next sweep tries again.
        log.warning(
            "the files of an evicted datablock could not be deleted; the next sweep tries again",
            why=str(error),
        )
        return 0
    return record.bytes_total


def _remove_files(record: DatablockRecord, tools: StagingTools) -> None:
    """Remove the file of a released datablock by its token: one that a later run makes meanwhile has another.

    Of a copy that was not whole nobody knows the token: then all go. A copy that is cut by that is made
    again.
    """
    token = record.partial or None
    tools.staging.discard_partial(record.key, token)
    tools.staging.delete(record.key, token)
    tools.ledger.inventory.forget_files(record.key)
