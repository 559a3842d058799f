"""Transfer: the archive is read once, every member hashed and every byte written to a partial file."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace

from scicat_retriever.domain import errors
from scicat_retriever.domain.dataset import Datablock
from scicat_retriever.domain.errors import RetrieverError
from scicat_retriever.domain.evidence import Copied, DatablockKey, Recalled
from scicat_retriever.domain.states import DatablockState
from scicat_retriever.onepass import errors as faults
from scicat_retriever.onepass.copying import copy_and_hash
from scicat_retriever.onepass.gunzip import unpacked_allowance, unpacked_estimate
from scicat_retriever.onepass.manifest import ManifestWriter
from scicat_retriever.onepass.staged_sums import archive_checksum_name
from scicat_retriever.onepass.tar.walker import members_allowance
from scicat_retriever.pipeline.tools.stopping import stop_if
from scicat_retriever.pipeline.tools.toolbox import Toolbox
from scicat_retriever.pipeline.transfer.reading import opened
from scicat_retriever.ports.datablock_record import DatablockRecord

BATCH_DATABLOCKS, BATCH_BYTES = 25, 64 * 2**20
"""Datablocks are put in one batch up to so many, and so many bytes; a larger one is a batch of its own."""


def batches(records: Iterable[DatablockRecord]) -> Iterator[list[DatablockRecord]]:
    """Put small datablocks together, in their order: a step costs something beside the copy.

    A datablock of unknown size is taken for a large one. Two datablocks of one archive are never in one
    batch: what fails in a batch is named by its archive.
    """
    batch: list[DatablockRecord] = []
    room = 0
    for record in records:
        size = record.bytes_total or BATCH_BYTES
        archive_id = record.datablock.archive_id
        is_same = any(each.datablock.archive_id == archive_id for each in batch)
        if batch and (size > room or len(batch) == BATCH_DATABLOCKS or is_same):
            yield batch
            batch = []
        if not batch:
            room = BATCH_BYTES
        batch.append(record)
        room -= size
    if batch:
        yield batch


def is_copied(record: DatablockRecord, tools: Toolbox) -> bool:
    """Say whether a datablock needs no copying: it is staged, or its whole copy waits to be verified."""
    if record.state is not DatablockState.COPIED:
        return record.state is DatablockState.STAGED
    return size_of_copy(record.key, record.partial, record.bytes_done, tools) == record.bytes_done


def size_of_copy(key: DatablockKey, token: str, expected: int, tools: Toolbox) -> int | None:
    """Give the bytes of a copy's file, or None where it is gone.

    A crash may have left it renamed to its staged name without a word to the ledger; and while another
    attempt commits it, an S3 may remove the parts of its upload one by one.
    """
    size = tools.staging.partial_size(key, token)
    if size == expected:
        return size
    staged = tools.staging.staged_size(key, token)
    return size if staged is None else staged


def copy(
    recalled: Recalled,
    record: DatablockRecord,
    tools: Toolbox,
    *,
    progress: Callable[[int], None],
    cancelled: Callable[[], bool],
) -> Copied:
    """Copy and hash a datablock's archive in one pass, and note the evidence in the ledger.

    Args:
        recalled: The evidence that it can be read.
        record: The datablock.
        tools: The ports.
        progress: Told the bytes done, about once a second.
        cancelled: Asked a few times a second, and before the ledger is told; the copy stops when it says
            True.

    Raises:
        JobCancelled: `cancelled` said so.
        TransferError: It could not be read to its end.
        StagingError: It could not be written, or its file was removed, since another attempt was begun
            meanwhile.
        NoSpaceYet: Others took the space that was claimed for it.
        ChecksumUnknown: The catalogue names an algorithm that is not known, or has a checksum that is none of
            it.
    """
    datablock = record.datablock
    files = tools.ledger.datablocks.files(record.key)
    hashing = tools.checksums.hashing(datablock.algorithm, datablock.archive_id, files)
    also = tools.checksums.also
    manifest = ManifestWriter(hashing.and_also(also))
    reading = opened(datablock, tools.stores.named(record.store))
    stop_if(cancelled)
    tools.ledger.datablocks.move(record.key, DatablockState.COPYING)
    with _translated(datablock.archive_id), ExitStack() as stack:
        room = staged_estimate(datablock, recalled.size)
        partial = stack.enter_context(tools.staging.open_partial(record.key, room))
        source = stack.enter_context(closing(reading))
        report = copy_and_hash(
            source,
            partial,
            algorithm=hashing,
            also=also,
            on_member=manifest.add,
            plain=bool(datablock.ranges),
            rules=tools.archives.rules,
            expected_bytes=recalled.size or None,
            catalogued_bytes=_catalogued_bytes(datablock),
            max_unpacked_bytes=unpacked_allowance(datablock.size, datablock.file_count),
            most_members=members_allowance(datablock.file_count),
            progress=progress,
            cancelled=cancelled,
            stall_timeout=tools.stall_timeout,
        )
    sealed = manifest.seal(
        stored="unpacked" if report.gzip else "plain", tars=report.tars, pieces=report.pieces
    )
    copied = Copied(
        recalled=replace(recalled, size=report.archive_bytes),
        bytes_copied=report.unpacked_bytes,
        archive_checksum=f"{archive_checksum_name()}:{report.archive_checksum}",
        manifest_seal=sealed.seal,
        members=sealed.members,
        partial=partial.token,
        receipt=partial.receipt,
        unpacked=report.gzip,
    )
    _refuse_lost(copied, tools)
    stop_if(cancelled)
    tools.ledger.copies.save(copied, sealed.blob)
    return copied


def staged_estimate(datablock: Datablock, stored: int) -> int:
    """Give the bytes that a datablock's file will take in staging, as far as is known before its copy.

    An archive that is smaller than the files in it is compressed, and staged as its tar.

    Args:
        datablock: The datablock.
        stored: Bytes of the archive as stored.
    """
    if datablock.ranges or stored >= datablock.size:
        return stored
    return unpacked_estimate(datablock.size, datablock.file_count)


def _catalogued_bytes(datablock: Datablock) -> int | None:
    """Give the catalogued size of the archive, where that is known; of an extract, its own size."""
    extract = datablock.extract
    whole = datablock.packed_size if extract is None else extract.archive_size
    return None if datablock.ranges else whole or None


def _refuse_lost(copied: Copied, tools: Toolbox) -> None:
    """Keep an attempt that was given up, and ends late, from taking the place of the one that followed it."""
    size = tools.staging.partial_size(copied.recalled.key, copied.partial)
    if size != copied.bytes_copied:
        raise errors.StagedFileMissing(
            f"{copied.recalled.archive_id}: {copied.bytes_copied} bytes were copied, the staging area has {size}: "
            "another attempt was begun"
        )


_ERRORS: dict[type[faults.TransferFault], type[RetrieverError]] = {
    faults.Truncated: errors.ArchiveSizeDiffers,
    faults.LongerThanDeclared: errors.ArchiveSizeDiffers,
    faults.TruncatedArchive: errors.ArchiveSizeDiffers,
    faults.SparseMember: errors.ArchiveUnsupported,
    faults.UnsupportedMember: errors.ArchiveUnsupported,
    faults.NotATar: errors.ArchiveUnsupported,
    faults.AmbiguousMember: errors.ArchiveAmbiguous,
    faults.TarFault: errors.ArchiveMalformed,
    faults.GzipFault: errors.ArchiveMalformed,
    faults.SourceStalled: errors.ReadStalled,
    faults.SourceReadFailed: errors.ReadFailed,
    faults.PartialWriteFailed: errors.StagingWriteFailed,
    faults.PartialStalled: errors.StagingWriteFailed,
    faults.CopyCancelled: errors.JobCancelled,
}


_SETTINGS: dict[type[faults.TransferFault], str] = {
    faults.AnotherTar: "flow.joined_tars",
    faults.GnuIncremental: "flow.gnu_incremental",
}
"""What an operator may set to have archives taken that have such a fault."""
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)


def error_for(fault: faults.TransferFault) -> type[RetrieverError]:
    """Give the error of the service for a fault of the copy: that of the nearest class in the table."""
    return next((_ERRORS[kind] for kind in type(fault).__mro__ if kind in _ERRORS), errors.InternalError)


@contextmanager
def _translated(archive_id: str) -> Iterator[None]:
    try:
        yield
    except faults.TransferFault as fault:
        no_room = isinstance(fault, faults.PartialWriteFailed) and fault.errno in _NO_ROOM
        kind = errors.NoSpaceYet if no_room else error_for(fault)
        setting = _SETTINGS.get(type(fault))
        hint = "" if setting is None else f" (see the setting {setting})"
        raise kind(f"{archive_id}: {fault}{hint}") from fault
