import bz2
import errno
import gzip
import hashlib
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import _GeneratorContextManager, contextmanager
from dataclasses import replace

import pytest
import xxhash

from scicat_retriever.domain import errors
from scicat_retriever.domain.errors import RetrieverError
from scicat_retriever.domain.evidence import Copied, DatablockKey, Recalled
from scicat_retriever.domain.ids import ArchiveId
from scicat_retriever.domain.states import DatablockState
from scicat_retriever.onepass import errors as faults
from scicat_retriever.onepass.checksums import ChecksumAlgorithm
from scicat_retriever.onepass.manifest import read_manifest
from scicat_retriever.pipeline.recalls import recall
from scicat_retriever.pipeline.tools.archive_policy import ArchivePolicy
from scicat_retriever.pipeline.tools.checksum_policy import ChecksumPolicy
from scicat_retriever.pipeline.transfer import copy as transfer
from scicat_retriever.pipeline.transfer import publish
from scicat_retriever.ports.datablock_record import DatablockRecord
from scicat_retriever.ports.staging_area import Partial
from tests.fakes.long_term_store import InMemoryLongTermStore, _InMemorySource
from tests.fakes.staging_area import InMemoryStagingArea
from tests.unit.onepass.tars import END, file
from tests.unit.pipeline.rig import FILES, Rig, entries, tar


class WatchedStore(InMemoryLongTermStore):
    """Notes which archives are open, in which thread they were opened, and may fail or hang at it.

    Args:
        fault: Raised by `open`.
        gate: `open` waits for it.
    """

    def __init__(self, fault: Exception | None = None, gate: threading.Event | None = None) -> None:
        super().__init__()
        self.now_open = 0
        self.closed = threading.Event()
        self.opening_threads: list[threading.Thread] = []
        # Held, so that an archive that nobody closes stays open for the tests to see.
        self._contexts: list[_GeneratorContextManager[_InMemorySource]] = []
        self._fault = fault
        self._gate = gate

    def open(
        self, archive_id: ArchiveId, start: int = 0, length: int | None = None
    ) -> "_GeneratorContextManager[_InMemorySource]":
        context = self._opening(archive_id, start, length)
        self._contexts.append(context)
        return context

    @contextmanager
    def _opening(self, archive_id: ArchiveId, start: int, length: int | None) -> Iterator[_InMemorySource]:
        self.opening_threads.append(threading.current_thread())
        if self._gate is not None:
            self._gate.wait(30)
        if self._fault is not None:
            raise self._fault
        with super().open(archive_id, start, length) as source:
            self.now_open += 1
            try:
                yield source
            finally:
                self.now_open -= 1
                self.closed.set()


def copy(rig: Rig, record: DatablockRecord, *, cancelled: Callable[[], bool] = lambda: False) -> None:
    recalled = recall.recall(record, rig.tools)
    transfer.copy(recalled, record, rig.tools, progress=lambda _: None, cancelled=cancelled)


def every_fault(root: type[faults.TransferFault]) -> Iterator[type[faults.TransferFault]]:
    for child in root.__subclasses__():
        yield child
        yield from every_fault(child)


NEVER_RAISED_BY_A_COPY = {faults.UnknownChecksumAlgorithm, faults.ManifestDamaged}
CAUSED_BY_THE_DATA = {faults.TarFault, faults.GzipFault, faults.Truncated, faults.LongerThanDeclared}


@pytest.mark.parametrize(
    "kind", sorted(set(every_fault(faults.TransferFault)) - NEVER_RAISED_BY_A_COPY, key=str)
)
def test_each_fault_of_a_copy_is_an_error_with_the_right_cause(kind: type[faults.TransferFault]) -> None:
    error = transfer.error_for(kind.__new__(kind))
    assert error is not errors.InternalError
    if kind is not faults.CopyCancelled:
        from_data = issubclass(kind, tuple(CAUSED_BY_THE_DATA))
        assert (error.cause is errors.Cause.DATA) == from_data
        assert error.retryable != from_data


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (faults.TruncatedArchive, errors.ArchiveSizeDiffers),
        (faults.Truncated, errors.ArchiveSizeDiffers),
        (faults.LongerThanDeclared, errors.ArchiveSizeDiffers),
        (faults.SparseMember, errors.ArchiveUnsupported),
        (faults.BadHeader, errors.ArchiveMalformed),
        (faults.BadGzip, errors.ArchiveMalformed),
        (faults.SourceStalled, errors.ReadStalled),
        (faults.SourceReadFailed, errors.ReadFailed),
        (faults.PartialWriteFailed, errors.StagingWriteFailed),
        (faults.CopyCancelled, errors.JobCancelled),
    ],
)
def test_the_nearest_error_stands_for_a_fault(
    fault: type[faults.TransferFault], expected: type[RetrieverError]
) -> None:
    assert transfer.error_for(fault.__new__(fault)) is expected


def test_a_copy_holds_the_archives_bytes_and_the_evidence_of_them() -> None:
    rig, content = Rig(), tar(FILES)
    (record,) = rig.plan(rig.archive(content=content))
    copied = rig.copy(record)
    assert copied.bytes_copied == len(content)
    assert copied.archive_checksum == f"xxh3-128:{xxhash.xxh3_128(content).hexdigest()}"
    assert copied.members == len(FILES)
    after = rig.record(record.key)
    assert (after.state, after.bytes_done, after.bytes_total) == (
        DatablockState.COPIED,
        len(content),
        len(content),
    )
    rig.staging.commit(record.key, copied.partial, copied.receipt)
    assert rig.staging.staged_content(record.key) == content


def test_the_manifest_in_the_ledger_names_each_file_with_its_size() -> None:
    rig = Rig()
    (record,) = rig.plan()
    copied = rig.copy(record)
    blob = rig.ledger.copies.manifest(record.key)
    assert blob is not None
    members = list(read_manifest(blob, copied.manifest_seal).members())
    assert {member.name: member.size for member in members} == {n: len(c) for n, c in FILES.items()}


def test_the_manifest_in_the_ledger_tells_the_crc_of_files_and_pieces() -> None:
    rig = Rig()
    (record,) = rig.plan()
    copied = rig.copy(record)
    manifest = read_manifest(rig.ledger.copies.manifest(record.key) or b"", copied.manifest_seal)
    assert {member.name: member.crc for member in manifest.members()} == {
        name: zlib.crc32(content) for name, content in FILES.items()
    }
    assert manifest.pieces is not None
    assert manifest.pieces.of(ChecksumAlgorithm.CRC32) == [f"{zlib.crc32(tar(FILES)):08x}"]


def test_files_and_pieces_are_also_hashed_by_what_an_operator_wants() -> None:
    rig = Rig(policy=ChecksumPolicy(also_hash=("sha-512",)))
    (record,) = rig.plan()
    copied = rig.copy(record)
    manifest = read_manifest(rig.ledger.copies.manifest(record.key) or b"", copied.manifest_seal)
    assert str(manifest.hashing) == "sha256+sha512"
    assert {
        member.name: manifest.hashing.part(member.digest, ChecksumAlgorithm.SHA512)
        for member in manifest.members()
    } == {name: hashlib.sha512(content).hexdigest() for name, content in FILES.items()}
    assert manifest.pieces is not None
    assert manifest.pieces.of(ChecksumAlgorithm.SHA512) == [hashlib.sha512(tar(FILES)).hexdigest()]
    publish.verify_and_stage(rig.record(record.key), rig.tools)
    assert rig.record(record.key).state is DatablockState.STAGED


def test_progress_is_told_to_the_last_byte() -> None:
    rig, told = Rig(), list[int]()
    (record,) = rig.plan()
    recalled = recall.recall(record, rig.tools)
    transfer.copy(recalled, record, rig.tools, progress=told.append, cancelled=lambda: False)
    assert told[-1] == recalled.size


@pytest.mark.parametrize("name", ["a.tar.gz", "a.tgz", "A.TAR.GZ", "a.tar", "a"])
def test_a_gzipped_archive_is_looked_into_whatever_its_name_says(name: str) -> None:
    rig = Rig()
    (record,) = rig.plan(rig.archive(content=tar(FILES, "w:gz"), archive_id=name))
    assert rig.copy(record).members == len(FILES)


def test_of_a_compressed_archive_the_tar_is_staged() -> None:
    rig = Rig()
    packed, plain = tar(FILES, "w:gz"), tar(FILES)
    (record,) = rig.plan(rig.archive(content=packed, archive_id="run/a.tar.gz"))
    copied = rig.copy(record)
    assert (copied.recalled.size, copied.bytes_copied, copied.unpacked) == (len(packed), len(plain), True)
    assert copied.archive_checksum == f"xxh3-128:{xxhash.xxh3_128(plain).hexdigest()}"
    assert rig.ledger.copies.get(record.key) == copied
    publish.verify_and_stage(rig.record(record.key), rig.tools)
    after = rig.record(record.key)
    assert rig.staging.staged_content(record.key) == plain
    assert (after.state, after.bytes_done, after.bytes_total) == (
        DatablockState.STAGED,
        len(plain),
        len(plain),
    )
    assert (after.unpacked, after.file_name) == (True, "run/a.tar")
    manifest = read_manifest(rig.ledger.copies.manifest(record.key) or b"", copied.manifest_seal)
    assert (manifest.stored, manifest.in_place, manifest.in_staged) == ("unpacked", False, True)


def test_a_plain_archive_keeps_its_name_whatever_it_is() -> None:
    rig = Rig()
    (record,) = rig.plan(rig.archive(archive_id="a.tar.gz"))
    rig.stage(record)
    after = rig.record(record.key)
    assert (after.unpacked, after.file_name) == (False, "a.tar.gz")


def test_what_is_released_is_not_called_unpacked_any_more() -> None:
    rig = Rig()
    (record,) = rig.plan(rig.archive(content=tar(FILES, "w:gz")))
    rig.stage(record)
    rig.ledger.datablocks.move(record.key, DatablockState.RELEASED)
    assert not rig.record(record.key).unpacked


@pytest.mark.parametrize("name", ["a.tar.gz", "a.tgz"])
def test_an_archive_that_is_gzip_by_name_alone_is_read_as_the_tar_that_it_is(name: str) -> None:
    rig = Rig()
    (record,) = rig.plan(rig.archive(archive_id=name))
    assert rig.copy(record).members == len(FILES)


def test_an_archive_that_unpacks_to_far_more_than_catalogued_is_malformed() -> None:
    rig = Rig()
    bomb = gzip.compress(tar({"a": bytes(2**26)}), 1)
    (record,) = rig.plan(rig.archive(content=bomb, archive_id="a.tgz"))
    with pytest.raises(errors.ArchiveMalformed, match="unpacks to more"):
        rig.copy(record)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (tar(FILES)[:2048], errors.ArchiveSizeDiffers),
        (b"no tar at all" * 100, errors.ArchiveMalformed),
        (b"", errors.ArchiveSizeDiffers),
        (gzip.compress(tar(FILES))[:-9], errors.ArchiveMalformed),
    ],
    ids=["cut", "no tar", "empty", "cut gzip"],
)
def test_an_archive_that_cannot_be_read_to_its_end_is_an_error_of_the_data(
    content: bytes, expected: type[RetrieverError]
) -> None:
    rig = Rig()
    block = rig.archive(content=content)
    (record,) = rig.plan(replace(block, datablock=replace(block.datablock, packed_size=0)))
    with pytest.raises(RetrieverError, match=block.datablock.archive_id) as raised:
        rig.copy(record)
    assert type(raised.value) is expected
    assert rig.ledger.copies.get(record.key) is None


@pytest.mark.parametrize("by", [-512, 512])
def test_an_archive_of_another_size_than_the_store_said_is_an_error(by: int) -> None:
    rig = Rig()
    (record,) = rig.plan()
    recalled = recall.recall(record, rig.tools)
    declared = Recalled(recalled.key, recalled.archive_id, recalled.size + by)
    with pytest.raises(errors.ArchiveSizeDiffers):
        transfer.copy(declared, record, rig.tools, progress=lambda _: None, cancelled=lambda: False)


def test_an_archive_whose_size_nobody_knows_is_copied_and_then_known() -> None:
    rig, content = Rig(), tar(FILES)
    (record,) = rig.plan(rig.archive(content=content))
    unknown = Recalled(record.key, record.datablock.archive_id, 0)
    rig.ledger.datablocks.move(record.key, DatablockState.RECALLING)
    transfer.copy(unknown, record, rig.tools, progress=lambda _: None, cancelled=lambda: False)
    assert rig.record(record.key).bytes_total == len(content)


def test_an_unknown_checksum_algorithm_is_an_error_before_anything_is_read() -> None:
    rig = Rig()
    (record,) = rig.plan(rig.archive(algorithm="md6"))
    with pytest.raises(errors.ChecksumUnknown, match="md6"):
        rig.copy(record)
    assert rig.store.opened == []


def test_a_read_error_is_told_with_the_archives_name() -> None:
    rig = Rig()
    (record,) = rig.plan()
    rig.store.break_reads(record.datablock.archive_id, after=600)
    with pytest.raises(errors.ReadFailed, match=r"p-0\.tar.*offset 600"):
        rig.copy(record)


def test_a_store_that_gives_no_byte_is_given_up_after_the_stall_timeout() -> None:
    rig = Rig(stall_timeout=1)
    (record,) = rig.plan()
    rig.store.stall_reads(record.datablock.archive_id, after=600)
    with pytest.raises(errors.ReadStalled, match=r"1 seconds at offset 600"):
        rig.copy(record)
    rig.store.mend_reads(record.datablock.archive_id)


@pytest.mark.parametrize(
    "fault",
    [
        errors.DatablockMissing("it is not there"),
        errors.DatablockUnreadable("it may not be read"),
        errors.StoreUnavailable("the share is gone"),
        errors.ArchiveIdUnsafe("it leads outside"),
    ],
)
def test_what_the_store_says_on_opening_is_what_the_caller_gets(fault: RetrieverError) -> None:
    rig = Rig(store=WatchedStore(fault))
    (record,) = rig.plan()
    with pytest.raises(type(fault), match=str(fault)):
        copy(rig, record)


def test_a_system_error_on_opening_is_a_failed_read() -> None:
    rig = Rig(store=WatchedStore(OSError(errno.EIO, "Input/output error")))
    (record,) = rig.plan()
    with pytest.raises(errors.ReadFailed, match="EIO"):
        copy(rig, record)


def test_an_opening_that_hangs_is_given_up_like_a_read_that_hangs() -> None:
    gate = threading.Event()
    store = WatchedStore(gate=gate)
    rig = Rig(store=store, stall_timeout=0.3)
    (record,) = rig.plan()
    with pytest.raises(errors.ReadStalled):
        copy(rig, record)
    gate.set()


def test_an_archive_that_opens_after_the_copy_was_given_up_is_closed_at_once() -> None:
    gate = threading.Event()
    store = WatchedStore(gate=gate)
    rig = Rig(store=store, stall_timeout=0.3)
    (record,) = rig.plan()
    with pytest.raises(errors.ReadStalled):
        copy(rig, record)
    gate.set()
    assert store.closed.wait(60)
    assert store.now_open == 0


def test_the_archive_is_opened_in_the_reading_thread_and_closed_at_the_end() -> None:
    store = WatchedStore()
    rig = Rig(store=store)
    (record,) = rig.plan()
    copy(rig, record)
    assert threading.current_thread() not in store.opening_threads
    assert len(store.opening_threads) == 1
    assert store.now_open == 0


def test_the_archive_is_closed_after_an_error_in_the_middle() -> None:
    store = WatchedStore()
    rig = Rig(store=store)
    (record,) = rig.plan(rig.archive(content=tar(FILES)[:1024] + b"garbage " * 1000))
    with pytest.raises(errors.ArchiveMalformed):
        copy(rig, record)
    assert store.closed.is_set()
    assert store.now_open == 0


def test_a_cancelled_copy_ends_and_leaves_no_evidence() -> None:
    rig = Rig()
    (record,) = rig.plan()
    rig.store.stall_reads(record.datablock.archive_id, after=600)
    begun = time.monotonic()
    with pytest.raises(errors.JobCancelled):
        copy(rig, record, cancelled=lambda: bool(rig.staging.partial_keys()))
    assert time.monotonic() - begun < rig.stall_timeout
    assert rig.ledger.copies.get(record.key) is None
    rig.store.mend_reads(record.datablock.archive_id)


def test_an_attempt_that_was_given_up_takes_nothing_back_of_what_another_one_copied() -> None:
    rig = Rig()
    (record,) = rig.plan()
    rig.copy(record)
    before = rig.record(record.key)
    recalled = Recalled(record.key, record.datablock.archive_id, record.bytes_total)
    with pytest.raises(errors.JobCancelled):
        transfer.copy(recalled, record, rig.tools, progress=lambda _: None, cancelled=lambda: True)
    assert rig.record(record.key) == before
    assert transfer.is_copied(before, rig.tools)


def test_an_attempt_that_is_given_up_at_its_end_is_no_evidence() -> None:
    rig = Rig()
    (record,) = rig.plan()
    whole = threading.Event()

    def note(done: int) -> None:
        if done == record.bytes_total:
            whole.set()

    recalled = recall.recall(record, rig.tools)
    with pytest.raises(errors.JobCancelled):
        transfer.copy(recalled, record, rig.tools, progress=note, cancelled=whole.is_set)
    assert rig.ledger.copies.get(record.key) is None


def test_a_staging_area_without_room_is_an_error_of_staging() -> None:
    rig = Rig(staging=InMemoryStagingArea(capacity=100))
    (record,) = rig.plan()
    with pytest.raises(errors.NoSpaceYet):
        copy(rig, record)


class FillingStagingArea(InMemoryStagingArea):
    """Others fill it while a partial is written."""

    @contextmanager
    def open_partial(self, key: DatablockKey, size: int) -> Iterator[Partial]:
        with super().open_partial(key, size) as partial:
            yield FullPartial(partial)


class FullPartial:
    """Takes no byte."""

    def __init__(self, partial: Partial) -> None:
        self.token, self.receipt = partial.token, ""

    def write(self, data: memoryview) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    def seal(self) -> None:
        raise AssertionError


def test_space_that_others_took_while_it_was_written_is_waited_for() -> None:
    rig = Rig(staging=FillingStagingArea())
    (record,) = rig.plan()
    with pytest.raises(errors.NoSpaceYet, match=r"p-0\.tar"):
        copy(rig, record)


def test_an_attempt_that_ends_after_another_was_begun_does_not_take_its_place() -> None:
    rig = Rig()
    (record,) = rig.plan()
    recalled = recall.recall(record, rig.tools)
    later = list[Copied]()

    def begin_another(_: int) -> None:
        later.append(rig.copy(record))

    with pytest.raises(errors.StagedFileMissing, match="another attempt was begun"):
        transfer.copy(recalled, record, rig.tools, progress=begin_another, cancelled=lambda: False)
    assert rig.ledger.copies.get(record.key) == later[-1]
    assert rig.staging.partial_size(record.key, later[-1].partial) == recalled.size


def test_each_attempt_has_a_file_of_its_own() -> None:
    rig = Rig()
    (record,) = rig.plan()
    assert rig.copy(record).partial != rig.copy(record).partial


@pytest.mark.parametrize("state", ["planned", "copied", "committed", "staged"])
def test_a_datablock_is_copied_once_its_copy_is_there_in_whole(state: str) -> None:
    rig = Rig()
    (record,) = rig.plan()
    if state != "planned":
        copied = rig.copy(record)
        if state == "committed":
            rig.staging.commit(record.key, copied.partial, copied.receipt)
    if state == "staged":
        publish.verify_and_stage(rig.record(record.key), rig.tools)
    assert transfer.is_copied(rig.record(record.key), rig.tools) == (state != "planned")


def test_a_copy_whose_file_is_gone_is_made_again() -> None:
    rig = Rig()
    (record,) = rig.plan()
    first = rig.copy(record)
    rig.staging.discard_partial(record.key)
    lost = rig.record(record.key)
    assert not transfer.is_copied(lost, rig.tools)
    again = rig.copy(lost)
    assert again.partial != first.partial
    publish.verify_and_stage(rig.record(record.key), rig.tools)
    assert rig.record(record.key).state is DatablockState.STAGED


UNMARKED = {"no end": tar(FILES)[:3072], "half an end": tar(FILES)[:3584]}


@pytest.mark.parametrize("end", UNMARKED)
def test_a_tar_without_its_end_is_staged_where_it_has_the_catalogued_size(end: str) -> None:
    rig = Rig()
    (record,) = rig.plan(rig.archive(content=UNMARKED[end]))
    assert rig.record(rig.stage(record)).state is DatablockState.STAGED


@pytest.mark.parametrize("catalogued", [0, 10_240])
def test_a_tar_without_its_end_is_cut_off_where_it_has_another_size_or_nobody_knows(catalogued: int) -> None:
    rig = Rig()
    rig.tools = replace(rig.tools, archives=ArchivePolicy(check_packed_size=False))
    block = rig.archive(content=UNMARKED["no end"])
    (record,) = rig.plan(replace(block, datablock=replace(block.datablock, packed_size=catalogued)))
    with pytest.raises(errors.ArchiveSizeDiffers, match="without an end-of-archive marker"):
        rig.copy(record)


def test_a_tar_that_was_cut_off_before_it_was_catalogued_lacks_files() -> None:
    rig = Rig()
    (record,) = rig.plan(rig.archive(content=tar(FILES)[:2048]))
    with pytest.raises(errors.MemberMissing):
        rig.stage(record)


def test_another_compression_is_unsupported_and_named() -> None:
    rig = Rig()
    (record,) = rig.plan(rig.archive(content=bz2.compress(tar(FILES)), archive_id="a.tar.bz2"))
    with pytest.raises(errors.ArchiveUnsupported, match=r"a\.tar\.bz2: the archive is compressed with bzip2"):
        rig.copy(record)


def test_an_incremental_archive_is_ambiguous_and_the_setting_named() -> None:
    content = file(b"a", b"x", magic=b"ustar  \0", prefix=b"14000000000\0") + END
    rig = Rig()
    (record,) = rig.plan(rig.archive(content=content, listed=entries({"a": b"x"})))
    with pytest.raises(errors.ArchiveAmbiguous, match=r"flow\.gnu_incremental"):
        rig.copy(record)
    rig = Rig(archives=ArchivePolicy(gnu_incremental="take"))
    (record,) = rig.plan(rig.archive(content=content, listed=entries({"a": b"x"})))
    assert rig.record(rig.stage(record)).state is DatablockState.STAGED
