"""Inventory: the ledger against what the staging area really holds, in both directions.

What is missing or has another size is withdrawn and retrieved again; files that nobody knows are removed.
Where too much differs at once, something else is wrong (another file system is mounted, two services share a
folder): then nothing is touched, and an operator has to look.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import timedelta

import structlog

from scicat_retriever.domain.batches import in_batches
from scicat_retriever.domain.errors import JobNotEnded, NothingToRetry, StagingError
from scicat_retriever.domain.evidence import DatablockKey
from scicat_retriever.domain.ids import DatasetPid, JobId
from scicat_retriever.domain.states import DatablockState, DatasetState
from scicat_retriever.pipeline.jobs import intake
from scicat_retriever.pipeline.tools.failed_look import failure_noted
from scicat_retriever.pipeline.tools.toolbox import Toolbox
from scicat_retriever.ports.datablock_record import DatablockRecord
from scicat_retriever.ports.staging_area import Holding

FINDING = "staging"
"""Under which name the ledger keeps what was found last."""
BATCH = 500
"""Entries looked at together."""
GRACE = timedelta(hours=1)
"""A file that was written to since then is nobody's orphan yet: its copy may be under way."""
FEW = 10
"""So many differences are always mended; of more, no more than half of what was looked at may differ."""
log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Inventory:
    """What one look found. Counts of datablocks or files.

    Attributes:
        staged: Staged datablocks that were looked for.
        missing: Their file is not there.
        wrong_size: Their file has another size.
        withdrawn: How many of those were withdrawn.
        retried: Jobs that are retried, since they have links to what is not there.
        files: Files that were found.
        orphans: Files that no datablock has.
        removed: How many of those were removed.
        miscounted: By how many bytes the ledger's sum of what is staged was wrong.
        advice: What an operator should look after; empty where all is mended.
    """

    staged: int = 0
    missing: int = 0
    wrong_size: int = 0
    withdrawn: int = 0
    retried: int = 0
    files: int = 0
    orphans: int = 0
    removed: int = 0
    miscounted: int = 0
    advice: str = ""

    def as_finding(self) -> Mapping[str, int | str]:
        """Give it as the ledger keeps it."""
        return asdict(self)


def look(tools: Toolbox) -> int:
    """Do the regular look: `check_staging`, whose finding is kept for operators.

    Returns:
        How many datablocks were withdrawn and files removed.

    Raises:
        StagingError: The area cannot be looked at; that is kept as the finding.
    """
    with failure_noted(FINDING, tools.ledger.findings, StagingError):
        found = check_staging(tools)
    tools.ledger.findings.note(FINDING, found.as_finding())
    if found.advice:
        log.error("the staging area is not what the ledger says", advice=found.advice)
    return found.withdrawn + found.removed


def check_staging(tools: Toolbox) -> Inventory:
    """Compare ledger and staging area, and mend what differs.

    Raises:
        StagingError: The area cannot be looked at.
    """
    found = Inventory()
    _look_for_files(found, tools)
    _look_for_owners(found, tools)
    found.retried = mend(tools)
    found.miscounted = tools.ledger.inventory.recount()
    return found


def withdraw(record: DatablockRecord, reason: str, tools: Toolbox) -> bool:
    """Take a staged datablock back whose bytes are not right; `mend` has it retrieved again.

    False, and nothing is done, where its file is not the one that was looked at any more.
    """
    now = tools.ledger.datablocks.get(record.key)
    if now is None or now.state is not DatablockState.STAGED or now.partial != record.partial:
        return False
    log.error("a staged datablock is withdrawn", archive_id=record.datablock.archive_id, why=reason)
    tools.ledger.cache.withdraw(record.key, reason)
    return True


def mend(tools: Toolbox) -> int:
    """Retry ended jobs that have links to files that are gone; give their number."""
    mended = 0
    while jobs := tools.ledger.pins.jobs_to_mend(BATCH):
        for job_id in jobs:
            try:
                intake.retry(job_id, tools.ledger.jobs, _brought(job_id, tools))
            except (JobNotEnded, NothingToRetry):
                return mended  # somebody was first, and the next look will see what is left
            log.warning("a job is retried, since what it has links to was lost", job_id=job_id)
            mended += 1
    return mended


def _brought(job_id: JobId, tools: Toolbox) -> set[DatasetPid]:
    """The datasets that a job was told to have: what failed for it is not tried again."""
    datasets = tools.ledger.jobs.datasets(job_id)
    return {each.pid for each in datasets if each.state is DatasetState.RETRIEVED}


def _look_for_files(found: Inventory, tools: Toolbox) -> None:
    """Look for the file of each staged datablock; withdraw those that are wrong, if they are few."""
    wrong: list[tuple[DatablockRecord, str]] = []
    for record in _staged(tools):
        found.staged += 1
        size = tools.staging.staged_size(record.key, record.partial)
        if size == record.bytes_total:
            continue
        found.missing += size is None
        found.wrong_size += size is not None
        if len(wrong) < BATCH:
            held = "nothing" if size is None else f"{size} bytes"
            wrong.append((record, f"staging holds {held} of it, not {record.bytes_total} bytes"))
    if _too_many(found.missing + found.wrong_size, found.staged):
        found.advice = (
            f"{found.missing + found.wrong_size} of {found.staged} staged files are gone or wrong: see that the "
            "staging area is the right one and mounted; nothing was changed"
        )
        return
    for record, reason in wrong:
        found.withdrawn += withdraw(record, reason, tools)


def _staged(tools: Toolbox) -> Iterator[DatablockRecord]:
    after: DatablockKey | None = None
    while page := tools.ledger.inventory.staged_after(after, BATCH):
        yield from page
        after = page[-1].key


def _look_for_owners(found: Inventory, tools: Toolbox) -> None:
    """Look for the datablock of each file; remove those of none once all are known to be few."""
    orphans: list[Holding] = []
    for batch in in_batches(tools.staging.holdings(), BATCH):
        found.files += len(batch)
        for orphan in _without_owner(batch, tools):
            found.orphans += 1
            if len(orphans) < BATCH:
                orphans.append(orphan)
    if _too_many(found.orphans, found.files):
        advice = (
            f"{found.orphans} of {found.files} files in staging are of no known datablock: see that no other service "
            "uses it; nothing was removed (after a restore: retriever restore --remove-strays)"
        )
        found.advice = "; ".join(filter(None, (found.advice, advice)))
        return
    for orphan in orphans:
        log.warning("a file of no known datablock is removed from staging", name=orphan.name)
        tools.staging.remove(orphan)
        found.removed += 1


def _without_owner(batch: list[Holding], tools: Toolbox) -> list[Holding]:
    known = tools.ledger.inventory.known_tokens({holding.token for holding in batch})
    old = tools.clock() - GRACE
    strange = [each for each in batch if each.token not in known and each.changed_at < old]
    if not strange:
        return []
    # A file has its owner in the ledger only when it is whole: ask who is writing after the files were seen,
    # and then once more for the owners, since a copy may have become whole meanwhile.
    copying = {tools.staging.name_of(key) for key in tools.ledger.inventory.being_copied()}
    known = tools.ledger.inventory.known_tokens({each.token for each in strange})
    return [each for each in strange if each.token not in known and (each.staged or each.name not in copying)]


def _too_many(differing: int, looked_at: int) -> bool:
    return differing > max(FEW, looked_at // 2)
