"""Publish: verified bytes get their final name."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from scicat_retriever.domain.errors import (
    CatalogueError,
    IntegrityError,
    JobCancelled,
    LargerThanStaging,
    ManifestDamaged,
    RetrieverError,
    SpaceTimedOut,
    StagedFileMissing,
    StagingError,
)
from scicat_retriever.domain.evidence import DatablockKey, Integrity, Oddities, Staged, Verified
from scicat_retriever.domain.ids import DatasetPid
from scicat_retriever.domain.states import DatablockState
from scicat_retriever.onepass.errors import ManifestDamaged as SealBroken
from scicat_retriever.onepass.manifest import read_manifest
from scicat_retriever.pipeline.tools.attempts import NOT_COUNTED, AttemptFailed
from scicat_retriever.pipeline.tools.stopping import stop_if
from scicat_retriever.pipeline.tools.toolbox import Toolbox
from scicat_retriever.pipeline.transfer import verify
from scicat_retriever.pipeline.transfer.copy import size_of_copy
from scicat_retriever.pipeline.transfer.entry_check import EntryCheck
from scicat_retriever.pipeline.transfer.unpacking import Unpacking
from scicat_retriever.ports.datablock_record import DatablockRecord

_NOTHING_KEPT_AFTER = {kind.code for kind in (JobCancelled, SpaceTimedOut, LargerThanStaging)}
"""Failures after which nothing is kept for a retry: nobody wants it, or others need the space."""


def verify_wanted(
    records: Iterable[DatablockRecord], tools: Toolbox, cancelled: Callable[[], bool], *, is_last: bool
) -> list[tuple[DatablockRecord, RetrieverError]]:
    """Verify those of some datablocks that are wanted, one after the other, and give each its final name.

    Args:
        records: The datablocks.
        tools: The ports.
        cancelled: Asked before each.
        is_last: Whether a staging area that fails, and does not merely wait, is given no further attempt.

    Returns:
        The datablocks that are not right, and why.

    Raises:
        JobCancelled: `cancelled` said so.
        AttemptFailed: The staging area does not do its part.
        CatalogueError: As `verify_and_stage`.
    """
    failures: list[tuple[DatablockRecord, RetrieverError]] = []
    for record in records:
        if not record.wanted:
            continue
        stop_if(cancelled)
        try:
            verify_and_stage(record, tools)
        except (IntegrityError, StagedFileMissing) as error:
            failures.append((record, error))
        except StagingError as error:
            is_final = is_last and not isinstance(error, NOT_COUNTED)
            raise AttemptFailed(error, is_final=is_final, archive_id=record.datablock.archive_id) from error
    return failures


def verify_and_stage(record: DatablockRecord, tools: Toolbox) -> None:
    """Compare a copied datablock with the catalogue and give it its final name.

    Staged already: nothing happens.

    Raises:
        IntegrityError: The copy is not what was catalogued.
        StagedFileMissing: The copy is gone, or not as long as what was hashed.
        CatalogueError: Names are spelled differently, and SciCat does not say what the dataset's folder is.
    """
    if record.state is DatablockState.STAGED:
        return
    verified = _verified(record, tools)
    _commit(verified, tools)


def _verified(record: DatablockRecord, tools: Toolbox) -> Verified:
    datablock = record.datablock
    copied = tools.ledger.copies.get(record.key)
    blob = tools.ledger.copies.manifest(record.key)
    if copied is None or blob is None:
        raise StagedFileMissing(f"{datablock.archive_id}: there is no record of its copy")
    try:
        manifest = read_manifest(blob, copied.manifest_seal)
    except SealBroken as error:
        raise ManifestDamaged(f"{datablock.archive_id}: {error}") from error
    named = tools.checksums.named(datablock.algorithm, datablock.archive_id)
    unpacking = Unpacking(manifest.members, lambda: tools.ledger.datablocks.files(record.key), tools.archives)
    try:
        verified = verify.against_catalogue(
            copied,
            unpacking.left(),
            tools.ledger.datablocks.files(record.key),
            EntryCheck(tools.checksums, named, manifest.hashing),
            datablock.size,
            lambda: source_folder(datablock.pid, tools),
        )
    except IntegrityError as error:
        raise type(error)(f"{datablock.archive_id}: {error}") from error
    return replace(verified, oddities=Oddities(unpacking.passed_over, unpacking.replaced, manifest.tars))


def source_folder(pid: DatasetPid, tools: Toolbox) -> str | None:
    """Give the folder of a dataset's files before they were archived; None where SciCat does not say.

    Raises:
        CatalogueError: SciCat does not answer, and may later.
    """
    try:
        return tools.catalogue.dataset(pid).source_folder
    except CatalogueError as error:
        if error.retryable:
            raise
        return None


def _commit(verified: Verified, tools: Toolbox) -> Staged:
    copied = verified.copied
    key = copied.recalled.key
    size = size_of_copy(key, copied.partial, copied.bytes_copied, tools)
    if size != copied.bytes_copied:
        raise StagedFileMissing(
            f"{copied.recalled.archive_id}: {copied.bytes_copied} bytes were copied, the staging area has {size}"
        )
    tools.staging.commit(key, copied.partial, copied.receipt)
    staged = Staged(verified)
    tools.ledger.copies.save_staged(staged)
    return staged


@dataclass(frozen=True, slots=True)
class Published:
    """What of a dataset was found staged.

    Attributes:
        whole: Whether that is all of it, and not only what was wanted.
        integrity: The least that was compared of any datablock.
    """

    whole: bool
    integrity: Integrity


def publish(pid: DatasetPid, tools: Toolbox) -> Published:
    """Say that all wanted datablocks of a dataset are staged, and end what is left of its claim.

    Raises:
        StagedFileMissing: Nothing is wanted, or a wanted datablock is not staged, or its file is not there.
    """
    tools.ledger.cache.note_used(pid)
    records = tools.ledger.datablocks.of(pid)
    wanted = [record for record in records if record.wanted]
    if not wanted:
        raise StagedFileMissing(f"dataset {pid}: it has no datablock that is asked for; ask for it again")
    refuse_lost(wanted, tools)
    tools.ledger.claims.end(pid)
    listed = [record for record in records if record.datablock.extract is None]
    whole = all(record.wanted or is_there(record, tools) for record in listed)
    sizes_only = any(record.integrity is not Integrity.VERIFIED for record in (listed if whole else wanted))
    return Published(whole, Integrity.SIZE_ONLY if sizes_only else Integrity.VERIFIED)


def refuse_lost(records: Sequence[DatablockRecord], tools: Toolbox) -> None:
    """See that these datablocks are staged, and their files there.

    Raises:
        StagedFileMissing: There are none; or one was released, or its file is gone or has another size.
    """
    if not records:
        raise StagedFileMissing("its datablocks are not in the catalogue any more; ask for it again")
    for record in records:
        if record.state is not DatablockState.STAGED:
            raise StagedFileMissing(f"{record.datablock.archive_id}: it was released; ask for it again")
        if not is_there(record, tools):
            raise StagedFileMissing(
                f"{record.datablock.archive_id}: its staged file is gone or has another size"
            )


def is_there(record: DatablockRecord, tools: Toolbox) -> bool:
    """Say whether a datablock is staged, and its file there in its whole length."""
    staged = record.state is DatablockState.STAGED
    return staged and tools.staging.staged_size(record.key, record.partial) == record.bytes_total


def is_kept_after(code: str) -> bool:
    """Say whether what a run brought is kept that failed by this code, until its space is needed."""
    return code not in _NOTHING_KEPT_AFTER


def discard(pid: DatasetPid, run: str, reason: str, tools: Toolbox, *, keep_verified: bool) -> None:
    """Remove the files that a failed run left, give their space back, and touch nothing else.

    Datablocks that were never wanted stay as they are. So do those that another run staged, since others may
    hold links to them; those of this run that were promised to somebody; and those that a later run works on,
    should a lost repetition of this step come late.

    Args:
        pid: The dataset.
        run: The run that failed.
        reason: Why, for the ledger.
        tools: The ports.
        keep_verified: Whether to keep, until their space is needed, the run's datablocks that are right, so
            that a retry goes on from there. Copies that were not verified yet are verified now.
    """
    for record in tools.ledger.datablocks.of(pid):
        began = record.wanted or record.state is not DatablockState.PLANNED
        if record.run == run and began and not _is_kept(record, tools, keep_verified=keep_verified):
            _discard(record.key, run, reason, tools)
    # After the files are gone: others may have the space only now.
    tools.ledger.claims.end(pid)


def _is_kept(record: DatablockRecord, tools: Toolbox, *, keep_verified: bool) -> bool:
    if keep_verified:
        return _is_right(record, tools)
    # Whatever a run is said to have ended as after it had ended well: what somebody has links to is not taken
    # away.
    return record.state is DatablockState.STAGED and tools.ledger.pins.is_promised(record.key)


def _is_right(record: DatablockRecord, tools: Toolbox) -> bool:
    if record.state is DatablockState.COPIED:
        try:
            verify_and_stage(record, tools)
        except (IntegrityError, StagedFileMissing, CatalogueError):
            return False
        return True
    return record.state is DatablockState.STAGED


def _discard(key: DatablockKey, run: str, reason: str, tools: Toolbox) -> None:
    # A later run may work on it by the time that a staging area which stood still has answered: it is asked
    # about anew.
    if _of_run(key, run, tools) is None:
        return
    tools.staging.discard_partial(key)
    record = _of_run(key, run, tools)
    if record is None:
        return
    if record.state is not DatablockState.RELEASED:
        after = DatablockState.RELEASED if record.state is DatablockState.STAGED else DatablockState.FAILED
        tools.ledger.datablocks.move(key, after, reason)
    # Also of what the ledger calls released already: an earlier attempt may have got no further than that.
    tools.staging.delete(key)


def _of_run(key: DatablockKey, run: str, tools: Toolbox) -> DatablockRecord | None:
    record = tools.ledger.datablocks.get(key)
    return record if record is not None and record.run == run else None
