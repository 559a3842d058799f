import gzip
import io
import tarfile
from collections.abc import Callable, Mapping
from dataclasses import replace

import pytest

from scicat_retriever.domain import errors
from scicat_retriever.domain.ids import ArchiveId, JobId
from scicat_retriever.domain.states import DatablockState, DatasetState, JobState, LifecycleWord
from scicat_retriever.pipeline.jobs import intake
from scicat_retriever.pipeline.recalls.other_copy import turn_to_other_copy
from scicat_retriever.pipeline.reports import report
from scicat_retriever.pipeline.staging import space
from scicat_retriever.pipeline.tools.archive_policy import ArchivePolicy
from scicat_retriever.pipeline.tools.stores import Stores
from scicat_retriever.pipeline.transfer import extracts, publish
from scicat_retriever.ports.datablock_record import DatablockRecord
from scicat_retriever.ports.long_term_store import Capabilities
from tests.fakes.long_term_store import InMemoryLongTermStore
from tests.unit.onepass.tars import END, file, header, padded
from tests.unit.pipeline.rig import JOB, PID, Rig, entries, tar
from tests.unit.pipeline.shown import datablocks_of
from tests.unit.pipeline.transfer.extract_rig import (
    CONTENT,
    begun,
    bring,
    choose,
    evict,
    known,
    staged_content,
)

OTHER = JobId("other")
BIG = {f"n{number}": bytes([number % 251]) * 700 for number in range(1200)}


def unpacked(content: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(content), mode="r:") as archive:
        return {each.name: (archive.extractfile(each) or io.BytesIO()).read() for each in archive}


def without_end(files: Mapping[str, bytes]) -> bytes:
    """Pack files, of which the last does not end with a NUL, without the blocks of zeros that end a tar."""
    return padded(tar(files).rstrip(b"\0"))


def needs_whole(rig: Rig, *names: str) -> bool:
    return begun(rig, *names).datablock.extract is None


def test_only_the_chosen_file_and_its_header_are_read_of_an_archive_that_was_copied_before() -> None:
    rig = Rig()
    known(rig)
    choose(rig, "run/three.dat")
    bring(rig)
    (record,) = rig.ledger.needs.datablocks(JOB, PID)
    assert rig.store.read == [(2 * (512 + 6144), 512 + 10240)]
    assert unpacked(staged_content(rig, record)) == {"run/three.dat": CONTENT["run/three.dat"]}


def test_files_that_lie_side_by_side_are_read_in_one_piece() -> None:
    rig = Rig()
    known(rig)
    choose(rig, "run/four.dat", "./run/five.dat")
    bring(rig)
    assert len(rig.store.read) == 1
    (record,) = rig.ledger.needs.datablocks(JOB, PID)
    assert list(unpacked(staged_content(rig, record))) == ["run/four.dat", "run/five.dat"]


def test_an_archive_that_was_never_copied_is_read_whole() -> None:
    rig = Rig()
    rig.catalogue.add_dataset(PID, [rig.archive(content=tar(CONTENT), listed=entries(CONTENT))])
    assert needs_whole(rig, "run/one.dat")


def test_a_datablock_that_is_staged_is_not_read_again_for_its_files() -> None:
    rig = Rig()
    rig.staged_dataset(rig.archive(content=tar(CONTENT), listed=entries(CONTENT)))
    assert needs_whole(rig, "run/one.dat")


def test_a_datablock_that_is_on_its_way_for_another_job_is_waited_for() -> None:
    rig = Rig()
    known(rig)
    (record,) = rig.plan_again("another run")
    rig.ledger.recalls.want([record.key])
    assert needs_whole(rig, "run/one.dat")


def test_a_store_that_cannot_read_ranges_gives_the_whole_archive() -> None:
    rig = Rig()
    known(rig)
    rig.store.capabilities = Capabilities(ranges=False)
    assert needs_whole(rig, "run/one.dat")


def test_an_extract_that_is_half_of_its_archive_is_not_worth_it() -> None:
    rig = Rig()
    known(rig, {"a": b"a" * 9000, "b": b"b" * 9000})
    assert needs_whole(rig, "a")


def test_too_many_pieces_are_not_read_one_by_one() -> None:
    rig = Rig()
    known(rig, BIG)
    most = [f"n{4 * number}" for number in range(extracts.MOST_RANGES)]
    assert not needs_whole(rig, *most)
    rig = Rig()
    known(rig, BIG)
    assert needs_whole(rig, *most, "n1199")


@pytest.mark.parametrize("name", ["p-0.tar.gz", "p-0.tar"])
def test_a_compressed_archive_is_read_whole(name: str) -> None:
    rig = Rig()
    known(rig, content=tar(CONTENT, "w:gz"), archive_id=name)
    assert needs_whole(rig, "run/one.dat")


@pytest.mark.parametrize(
    "change",
    [
        lambda block: replace(block, datablock=replace(block.datablock, size=block.datablock.size + 1)),
        lambda block: replace(block, files=(replace(block.files[0], digest="0" * 64), *block.files[1:])),
    ],
    ids=["sizes", "checksum"],
)
def test_what_was_copied_by_another_entry_of_the_catalogue_is_not_relied_on(
    change: Callable[..., object],
) -> None:
    rig = Rig()
    block = known(rig)
    rig.catalogue.add_dataset(PID, [change(block)])  # type: ignore[list-item]
    assert needs_whole(rig, "run/two.dat")


def test_space_is_claimed_for_the_extract_alone() -> None:
    rig = Rig()
    known(rig)
    choose(rig, "run/one.dat")
    assert rig.ledger.inventory.usage().claimed == 512 + 6144 + 1024


def test_jobs_that_choose_the_same_files_share_an_extract() -> None:
    rig = Rig()
    known(rig)
    choose(rig, "run/one.dat")
    bring(rig)
    choose(rig, "/run/one.dat", job=OTHER)
    assert rig.ledger.needs.is_brought(OTHER, PID)


def test_an_extract_is_no_datablock_of_the_dataset_for_a_job_that_wants_all_of_it() -> None:
    rig = Rig()
    known(rig)
    choose(rig, "run/one.dat")
    bring(rig)
    rig.job(PID, name=OTHER)
    assert [record.datablock.extract for record in rig.ledger.needs.datablocks(OTHER, PID)] == [None]
    assert not rig.ledger.needs.is_brought(OTHER, PID)


def test_a_dataset_is_not_called_retrieved_for_an_extract() -> None:
    rig = Rig()
    known(rig)
    choose(rig, "run/one.dat")
    published = bring(rig)
    report.dataset_retrieved(PID, published, rig.tools)
    rig.deliver()
    held = rig.catalogue.held_dataset(PID)
    words = "0 of its 1 datablocks are retrieved, and parts of 1: not all of its files were asked for"
    assert (published.whole, held.status) == (False, LifecycleWord.NOTHING)
    assert held.return_message == {"status": "filesRetrieved", "message": words}


def test_a_dataset_that_is_staged_is_retrieved_although_an_extract_of_it_is_gone() -> None:
    rig = Rig()
    known(rig)
    choose(rig, "run/one.dat")
    bring(rig)
    evict(rig)
    rig.job(PID, name=OTHER)
    published = bring(rig, OTHER)
    report.dataset_retrieved(PID, published, rig.tools)
    rig.deliver()
    assert rig.catalogue.held_dataset(PID).status is LifecycleWord.RETRIEVED


def test_a_link_to_an_extract_says_that_it_is_a_part_and_of_which_archive() -> None:
    rig = Rig()
    known(rig, archive_id="2026/p.TAR")
    choose(rig, "run/one.dat")
    bring(rig)
    report.close_job(JOB, None, rig.tools)
    rig.deliver()
    held = rig.catalogue.held_job(JOB)
    assert held.state is JobState.SUCCESSFUL
    assert held.result is not None
    (entry,) = datablocks_of(rig)
    (record,) = rig.ledger.needs.datablocks(JOB, PID)
    name = f"p.part-{record.key.id[-8:]}.tar"
    assert (entry["name"], entry["archiveId"]) == (f"20.500.12345_p__{name}", "2026/p.TAR")
    assert (entry["chosen"], entry["files"], entry["size"]) == (["run/one.dat"], 1, 512 + 6144 + 1024)
    assert f"__{name}?" in entry["url"]


def damaged(rig: Rig) -> bytes:
    """Pack the same files in another order: as long as before, and nothing where it was."""
    again = tar(dict(reversed(CONTENT.items())))
    rig.store.put("p-0.tar", again)
    return again


def failed(rig: Rig, record: DatablockRecord) -> errors.RetrieverError:
    with pytest.raises((errors.TransferError, errors.IntegrityError)) as failure:
        rig.stage(record)
    return failure.value


def test_an_extract_that_is_not_right_becomes_its_whole_archive() -> None:
    rig = Rig()
    known(rig)
    again = damaged(rig)
    record = begun(rig, "run/one.dat")
    error = failed(rig, record)
    assert turn_to_other_copy(rig.record(record.key), "lts", error.code, str(error), rig.tools, part=True)
    whole = rig.record(record.key)
    assert (whole.state, whole.run, whole.wanted) == (DatablockState.PLANNED, "run-2", True)
    rig.stage(whole)
    assert staged_content(rig, whole) == again
    publish.publish(PID, rig.tools)
    assert rig.ledger.needs.is_brought(JOB, PID)


def test_where_a_part_cannot_be_had_all_of_the_archive_is_read_from_the_other_copy() -> None:
    rig, vault = Rig(), InMemoryLongTermStore()
    known(rig)
    vault.put(ArchiveId("p-0.tar"), tar(CONTENT))
    stores = Stores({"lts": rig.store, "vault": vault}, copies={"lts": "vault"})
    rig.tools = replace(rig.tools, stores=stores)
    record = begun(rig, "run/one.dat")
    lost = errors.ArchiveLost("it is on no tape any more")
    assert turn_to_other_copy(record, "lts", lost.code, str(lost), rig.tools, part=True)
    whole = rig.record(record.key)
    assert (whole.store, whole.datablock.ranges) == ("vault", ())
    rig.stage(whole)
    assert staged_content(rig, whole) == tar(CONTENT)


def test_the_whole_archive_claims_its_space_before_it_is_read_in_place_of_an_extract() -> None:
    rig = Rig()
    known(rig)
    again = damaged(rig)
    record = begun(rig, "run/one.dat")
    error = failed(rig, record)
    turn_to_other_copy(rig.record(record.key), "lts", error.code, str(error), rig.tools, part=True)
    rig.copy(rig.record(record.key))
    assert rig.ledger.inventory.usage().claimed == len(again)


def test_after_an_extract_that_was_not_right_the_whole_archive_is_read_at_once() -> None:
    rig = Rig()
    known(rig)
    damaged(rig)
    record = begun(rig, "run/one.dat")
    error = failed(rig, record)
    turn_to_other_copy(rig.record(record.key), "lts", error.code, str(error), rig.tools, part=True)
    choose(rig, "run/two.dat", job=OTHER)
    assert [each.datablock.extract for each in rig.ledger.needs.datablocks(OTHER, PID)] == [None]


def test_a_file_that_differs_from_the_catalogue_is_not_delivered_in_an_extract() -> None:
    rig = Rig()
    known(rig)
    rig.store.put("p-0.tar", tar(CONTENT).replace(b"oneone", b"onetwo", 1))
    record = begun(rig, "run/one.dat")
    assert isinstance(failed(rig, record), errors.ChecksumMismatch)


def test_an_archive_that_has_another_length_by_now_is_not_read_in_part() -> None:
    rig = Rig()
    known(rig)
    rig.store.put("p-0.tar", tar(CONTENT) + bytes(512))
    record = begun(rig, "run/one.dat")
    with pytest.raises(errors.ArchiveIncomplete):
        rig.copy(record)


def test_an_archive_that_ends_within_a_piece_fails_the_copy() -> None:
    rig = Rig()
    rig.tools = replace(rig.tools, archives=ArchivePolicy(check_packed_size=False))
    known(rig)
    rig.store.put("p-0.tar", tar(CONTENT)[:8000])
    record = begun(rig, "run/two.dat")
    with pytest.raises(errors.ArchiveSizeDiffers):
        rig.copy(record)


def test_a_store_that_reads_no_ranges_any_more_has_the_whole_archive_read() -> None:
    rig = Rig()
    known(rig)
    record = begun(rig, "run/one.dat")
    rig.store.capabilities = Capabilities(ranges=False)
    error = failed(rig, record)
    assert turn_to_other_copy(rig.record(record.key), "lts", error.code, str(error), rig.tools, part=True)
    assert rig.record(record.key).datablock.ranges == ()


def test_a_job_is_told_to_retry_where_the_catalogue_changed_since_its_extract_was_chosen() -> None:
    rig = Rig()
    block = known(rig)
    choose(rig, "run/one.dat")
    changed = replace(block.files[1], digest="0" * 64)
    rig.catalogue.add_dataset(PID, [replace(block, files=(block.files[0], changed, *block.files[2:]))])
    rig.ledger.jobs.move_dataset(JOB, PID, DatasetState.STARTED)
    rig.plan_again("run-2")
    assert rig.ledger.needs.datablocks(JOB, PID) == []
    assert not rig.ledger.needs.is_brought(JOB, PID)


def test_an_evicted_extract_is_read_again_for_a_retry() -> None:
    rig = Rig()
    known(rig)
    choose(rig, "run/one.dat")
    bring(rig)
    report.close_job(JOB, None, rig.tools)
    evict(rig)
    intake.retry(JOB, rig.ledger.jobs)
    rig.store.read.clear()
    space.measure_job(JOB, rig.tools)
    space.claim_job(JOB, rig.tools)
    bring(rig, run="run-3")
    assert rig.store.read == [(0, 512 + 6144)]


def test_a_plain_tar_that_is_called_gzip_is_read_in_part() -> None:
    rig = Rig()
    known(rig, archive_id="a.tar.gz")
    choose(rig, "run/three.dat")
    bring(rig)
    (record,) = rig.ledger.needs.datablocks(JOB, PID)
    assert unpacked(staged_content(rig, record)) == {"run/three.dat": CONTENT["run/three.dat"]}


def test_a_compressed_archive_is_read_whole_whatever_its_length() -> None:
    rig = Rig()
    packed = gzip.compress(tar(CONTENT))
    known(rig, content=packed + bytes(-len(packed) % 512 + 512 * 100), archive_id="a.tar")
    assert needs_whole(rig, "run/three.dat")


def test_of_a_file_that_another_took_the_place_of_the_last_is_read() -> None:
    rig = Rig(archives=ArchivePolicy(duplicate_members="last"))
    known(rig, content=file(b"run/two.dat", b"older" * 3000) + tar(CONTENT))
    choose(rig, "run/one.dat", "run/two.dat")
    bring(rig)
    (record,) = rig.ledger.needs.datablocks(JOB, PID)
    chosen = {name: CONTENT[name] for name in ("run/one.dat", "run/two.dat")}
    assert unpacked(staged_content(rig, record)) == chosen
    assert rig.store.read == [(512 + 15360, 2 * (512 + 6144))]


def test_a_file_that_its_archive_has_twice_is_not_read_alone_where_that_is_refused() -> None:
    rig = Rig(archives=ArchivePolicy(duplicate_members="last"))
    known(rig, content=file(b"run/two.dat", b"older" * 3000) + tar(CONTENT))
    rig.tools = replace(rig.tools, archives=ArchivePolicy())
    assert needs_whole(rig, "run/two.dat")


def test_a_file_that_gnu_tar_was_given_twice_is_read_alone() -> None:
    rig = Rig()
    again = header(b"run/two.dat", kind=b"1", link=b"run/two.dat")
    known(rig, content=without_end(CONTENT) + again + END)
    choose(rig, "run/two.dat")
    bring(rig)
    (record,) = rig.ledger.needs.datablocks(JOB, PID)
    assert unpacked(staged_content(rig, record)) == {"run/two.dat": CONTENT["run/two.dat"]}


def test_joined_tars_are_read_whole() -> None:
    rig = Rig(archives=ArchivePolicy(joined_tars="read"))
    parts = [tar({name: content}) for name, content in CONTENT.items()]
    known(rig, content=b"".join(parts))
    assert needs_whole(rig, "run/two.dat")


def test_a_tar_without_its_end_is_read_in_part() -> None:
    rig = Rig()
    known(rig, content=without_end(CONTENT))
    choose(rig, "run/three.dat")
    bring(rig)
    (record,) = rig.ledger.needs.datablocks(JOB, PID)
    assert unpacked(staged_content(rig, record)) == {"run/three.dat": CONTENT["run/three.dat"]}


def test_what_lies_behind_a_label_or_what_is_passed_over_is_read_in_part() -> None:
    rig = Rig(archives=ArchivePolicy(pass_over=("index",)))
    label = header(b"tape 7", kind=b"V", magic=b"ustar  \0")
    known(rig, content=label + file(b"index", b"i" * 700) + tar(CONTENT))
    choose(rig, "run/one.dat")
    bring(rig)
    (record,) = rig.ledger.needs.datablocks(JOB, PID)
    assert unpacked(staged_content(rig, record)) == {"run/one.dat": CONTENT["run/one.dat"]}


def test_what_lies_behind_a_folder_with_a_list_of_its_files_is_read_in_part() -> None:
    rig = Rig(archives=ArchivePolicy(gnu_incremental="take"))
    listed = file(b"run", b"Nfile\0\0", kind=b"D", magic=b"ustar  \0")
    known(rig, content=listed + tar(CONTENT))
    choose(rig, "run/one.dat")
    bring(rig)
    (record,) = rig.ledger.needs.datablocks(JOB, PID)
    assert record.datablock.extract is not None
    assert unpacked(staged_content(rig, record)) == {"run/one.dat": CONTENT["run/one.dat"]}
