"""Publish: verified bytes get their final name, and are kept for as long as their links live."""

from __future__ import annotations

from scicat_retriever.domain.errors import (
    IntegrityError,
    ManifestDamaged,
    RetrieverError,
    StagedFileMissing,
)
from scicat_retriever.domain.evidence import Integrity, Staged, Verified
from scicat_retriever.domain.ids import DatasetPid
from scicat_retriever.domain.states import DatablockState
from scicat_retriever.onepass.errors import ManifestDamaged as SealBroken
from scicat_retriever.onepass.manifest import read_manifest
from scicat_retriever.pipeline import verify
from scicat_retriever.pipeline.toolbox import Toolbox
from scicat_retriever.ports.ledger import DatablockRecord


def verify_and_stage(record: DatablockRecord, tools: Toolbox) -> None:
    """Compare a copied datablock with the catalogue and give it its final name. Staged already: nothing happens.

    Raises:
        IntegrityError: The copy is not what was catalogued.
        StagedFileMissing: The copy is gone, or not as long as what was hashed.
    """
    if record.state is DatablockState.STAGED:
        return
    verified = _verified(record, tools)
    _commit(verified, tools)


def _verified(record: DatablockRecord, tools: Toolbox) -> Verified:
    datablock = record.datablock
    copied = tools.ledger.copied(record.key)
    blob = tools.ledger.manifest(record.key)
    if copied is None or blob is None:
        raise StagedFileMissing(f"{datablock.archive_id}: there is no record of its copy")
    try:
        manifest = read_manifest(blob, copied.manifest_seal)
    except SealBroken as error:
        raise ManifestDamaged(f"{datablock.archive_id}: {error}") from error
    algorithm = tools.checksums.algorithm(datablock.algorithm, datablock.archive_id)
    if algorithm is not None and algorithm is not manifest.algorithm:
        raise ManifestDamaged(
            f"{datablock.archive_id}: it was hashed with {manifest.algorithm}, wanted is {algorithm} now"
        )
    try:
        return verify.against_catalogue(
            copied, manifest.members(), tools.ledger.files(record.key), algorithm, tools.checksums
        )
    except IntegrityError as error:
        raise type(error)(f"{datablock.archive_id}: {error}") from error


def _commit(verified: Verified, tools: Toolbox) -> Staged:
    copied = verified.copied
    key = copied.recalled.key
    # A repetition after a crash may find the file renamed and the ledger not yet told.
    size = tools.staging.partial_size(key)
    if size is None:
        size = tools.staging.staged_size(key)
    if size != copied.bytes_copied:
        raise StagedFileMissing(
            f"{copied.recalled.archive_id}: {copied.bytes_copied} bytes were copied, the staging area has {size}"
        )
    tools.staging.commit(key)
    staged = Staged(verified)
    tools.ledger.save_staged(staged, tools.clock() + tools.retention)
    return staged


def publish(pid: DatasetPid, tools: Toolbox) -> Integrity:
    """Say that a whole dataset is staged, and keep it from now on for the full retention.

    Returns:
        The least that was compared of any of its datablocks.

    Raises:
        StagedFileMissing: A datablock is not staged, or its file is not there.
    """
    records = tools.ledger.datablocks(pid)
    kept = tools.ledger.keep(pid, tools.clock() + tools.retention)
    if not records or kept != len(records):
        raise StagedFileMissing(f"dataset {pid}: {kept} of {len(records)} datablocks are staged")
    for record in records:
        if tools.staging.staged_size(record.key) != record.bytes_total:
            raise StagedFileMissing(
                f"{record.datablock.archive_id}: its staged file is gone or has another size"
            )
    sizes_only = any(record.integrity is not Integrity.VERIFIED for record in records)
    return Integrity.SIZE_ONLY if sizes_only else Integrity.VERIFIED


def discard(pid: DatasetPid, run: str, reason: str, tools: Toolbox) -> None:
    """Remove the partial and staged files that a failed run left, give their space back, and touch nothing else.

    What an earlier run staged stays: others may hold links to it.
    """
    for record in tools.ledger.datablocks(pid):
        staged = record.state is DatablockState.STAGED
        if staged and record.run != run:
            continue
        tools.staging.discard_partial(record.key)
        if record.state is not DatablockState.RELEASED:
            after = DatablockState.RELEASED if staged else DatablockState.FAILED
            tools.ledger.move_datablock(record.key, after, reason)
            _let_go(record, tools)
        # Also of what the ledger calls released already: an earlier attempt may have got no further than that.
        tools.staging.release(record.key)


def sweep_expired(tools: Toolbox, limit: int = 500) -> int:
    """Remove staged files whose time is over; gives how many. The ledger is told first, so no link is made to them."""
    swept = 0
    for key in tools.ledger.expired(tools.clock(), limit):
        if tools.ledger.release_expired(key, tools.clock()):
            tools.staging.release(key)
            swept += 1
    return swept


def _let_go(record: DatablockRecord, tools: Toolbox) -> None:
    """Tell the store that the archive is not needed online; a store that cannot be told keeps it a while longer."""
    try:
        tools.store.release(record.datablock.archive_id)
    except RetrieverError:
        return
