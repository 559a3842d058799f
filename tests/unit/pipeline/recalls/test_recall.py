from dataclasses import replace

import pytest

from scicat_retriever.domain import errors
from scicat_retriever.domain.errors import RetrieverError
from scicat_retriever.domain.ids import DatasetPid
from scicat_retriever.domain.states import DatablockState, RecallPhase
from scicat_retriever.pipeline.recalls import recall
from scicat_retriever.pipeline.staging import space
from scicat_retriever.pipeline.tools.archive_policy import ArchivePolicy
from scicat_retriever.ports.datablock_record import DatablockRecord
from tests.fakes.staging_area import InMemoryStagingArea
from tests.unit.pipeline.rig import FILES, PID, Rig, entries, tar

SIZE = len(tar(FILES))
Q = DatasetPid("20.500.12345/q")


def on_tape() -> tuple[Rig, DatablockRecord]:
    """Plan a dataset of one archive that is on tape."""
    rig = Rig()
    block = rig.archive()
    rig.store.put(block.datablock.archive_id, tar(FILES), on_tape=True)
    (record,) = rig.plan(block)
    return rig, record


def test_an_archive_that_is_online_is_recalled_with_the_stores_size() -> None:
    rig = Rig()
    (record,) = rig.plan()
    assert recall.recall(record, rig.tools).size == SIZE
    assert rig.store.requested == []
    assert rig.record(record.key).state is DatablockState.RECALLING


def test_an_archive_on_tape_is_wanted_and_waited_for() -> None:
    rig, record = on_tape()
    with pytest.raises(errors.NotYetOnline, match=r"p-0\.tar"):
        recall.recall(record, rig.tools)
    (wanted,) = rig.ledger.recalls.of_dataset(PID)
    assert (wanted.key, wanted.phase, rig.record(record.key).state) == (
        record.key,
        RecallPhase.WAITING,
        DatablockState.RECALLING,
    )


def test_what_is_on_tape_is_not_asked_for_before_its_turn() -> None:
    rig, record = on_tape()
    with pytest.raises(errors.NotYetOnline):
        recall.recall(record, rig.tools)
    assert rig.store.requested == []


def test_an_archive_that_came_back_from_tape_is_recalled() -> None:
    rig, record = on_tape()
    with pytest.raises(errors.NotYetOnline):
        recall.recall(record, rig.tools)
    rig.store.deliver(record.datablock.archive_id)
    assert recall.recall(rig.record(record.key), rig.tools).archive_id == record.datablock.archive_id
    assert rig.record(record.key).reason == ""


def test_an_archive_that_the_store_does_not_have_is_missing_and_wanted() -> None:
    rig = Rig()
    (record,) = rig.plan()
    rig.store.lose(record.datablock.archive_id)
    with pytest.raises(errors.DatablockMissing, match=r"has no p-0\.tar"):
        recall.recall(record, rig.tools)
    assert [each.key for each in rig.ledger.recalls.of_dataset(PID)] == [record.key]


def test_an_archive_that_the_store_lost_is_lost() -> None:
    rig = Rig()
    (record,) = rig.plan()
    rig.store.lose_for_good(record.datablock.archive_id)
    with pytest.raises(errors.ArchiveLost, match="its tape is broken"):
        recall.recall(record, rig.tools)
    assert rig.ledger.recalls.of_dataset(PID) == []


def test_of_several_datablocks_those_that_are_online_are_ready_and_the_others_wanted() -> None:
    rig = Rig()
    blocks = [rig.archive(number) for number in range(4)]
    rig.store.put(blocks[1].datablock.archive_id, tar(FILES), on_tape=True)
    rig.store.lose(blocks[3].datablock.archive_id)
    records = rig.plan(*blocks)
    assert recall.prepare(records, rig.tools) == [records[0], records[2]]
    assert [each.key for each in rig.ledger.recalls.of_dataset(PID)] == [records[1].key, records[3].key]


def test_what_will_never_come_is_ready_for_the_step_that_says_so() -> None:
    rig = Rig()
    (record,) = rig.plan()
    rig.store.lose_for_good(record.datablock.archive_id)
    assert recall.prepare([record], rig.tools) == [record]


def test_all_are_wanted_from_a_store_that_does_not_answer() -> None:
    rig = Rig()
    records = rig.plan(rig.archive(0), rig.archive(1))
    rig.store.go_away()
    assert recall.prepare(records, rig.tools) == []
    assert len(rig.ledger.recalls.of_dataset(PID)) == 2


def test_a_store_is_asked_about_no_more_than_it_takes_at_once() -> None:
    rig = Rig()
    rig.store.capabilities = replace(rig.store.capabilities, batch=2)
    records = rig.plan(*(rig.archive(number) for number in range(5)))
    assert recall.prepare(records, rig.tools) == records


def test_a_datablock_of_a_store_that_is_not_configured_any_more_says_so() -> None:
    rig = Rig()
    (record,) = rig.plan()
    gone = replace(record, store="vault")
    assert recall.prepare([gone], rig.tools) == [gone]
    with pytest.raises(errors.StoreNotConfigured, match="'vault'"):
        recall.recall(gone, rig.tools)


def test_an_archive_of_another_size_than_catalogued_is_not_complete_yet() -> None:
    rig = Rig()
    (record,) = rig.plan()
    rig.store.put(record.datablock.archive_id, tar(FILES)[:-10])
    with pytest.raises(errors.ArchiveIncomplete, match=rf"{SIZE - 10} bytes.*{SIZE} in the catalogue"):
        recall.recall(record, rig.tools)
    assert [each.key for each in rig.ledger.recalls.of_dataset(PID)] == [record.key]


def test_the_catalogued_size_is_not_compared_where_the_settings_say_so() -> None:
    rig = Rig()
    rig.tools = replace(rig.tools, archives=ArchivePolicy(check_packed_size=False))
    (record,) = rig.plan()
    rig.store.put(record.datablock.archive_id, tar(FILES)[:-10])
    assert recall.recall(record, rig.tools).size == SIZE - 10
    assert rig.record(record.key).bytes_total == SIZE - 10


def test_an_archive_longer_than_catalogued_waits_for_the_space_that_it_needs_beside() -> None:
    rig = Rig(staging=InMemoryStagingArea(SIZE + 100))
    rig.tools = replace(rig.tools, archives=ArchivePolicy(check_packed_size=False))
    (record,) = rig.plan()
    space.claim_dataset(record.key.pid, rig.tools)
    (other,) = rig.plan(rig.archive(pid=Q, content=b"x" * 60), pid=Q)
    space.claim_dataset(Q, rig.tools)
    rig.store.put(record.datablock.archive_id, tar(FILES) + bytes(50))
    with pytest.raises(errors.NoSpaceYet, match="waiting for 10 bytes of staging space"):
        recall.recall(record, rig.tools)
    assert rig.record(record.key).state is DatablockState.WAITING_FOR_SPACE
    rig.ledger.datablocks.move(other.key, DatablockState.FAILED)
    rig.ledger.claims.end(Q)
    assert recall.recall(rig.record(record.key), rig.tools).size == SIZE + 50


def compressed(rig: Rig) -> DatablockRecord:
    """Plan an archive that is far smaller than the file in it."""
    files = {"zeros": bytes(100_000)}
    (record,) = rig.plan(rig.archive(content=tar(files, "w:gz"), listed=entries(files)))
    assert record.bytes_total < 1000
    return record


def test_a_compressed_archive_claims_the_room_of_its_tar() -> None:
    rig = Rig()
    record = compressed(rig)
    space.claim_dataset(record.key.pid, rig.tools)
    for _ in range(2):
        recalled = recall.recall(rig.record(record.key), rig.tools)
        assert recalled.size == record.datablock.packed_size
        claimed = rig.ledger.inventory.usage().claimed
        assert len(tar({"zeros": bytes(100_000)})) <= claimed == rig.record(record.key).bytes_total < 120_000


def test_a_compressed_archive_waits_for_the_room_of_its_tar() -> None:
    rig = Rig(staging=InMemoryStagingArea(120_000))
    record = compressed(rig)
    space.claim_dataset(record.key.pid, rig.tools)
    (other,) = rig.plan(rig.archive(pid=Q, content=b"x" * 50_000), pid=Q)
    space.claim_dataset(Q, rig.tools)
    with pytest.raises(errors.NoSpaceYet):
        recall.recall(record, rig.tools)
    assert rig.record(record.key).state is DatablockState.WAITING_FOR_SPACE
    rig.ledger.datablocks.move(other.key, DatablockState.FAILED)
    rig.ledger.claims.end(Q)
    rig.stage(rig.record(record.key))
    assert rig.ledger.inventory.usage().staged == len(tar({"zeros": bytes(100_000)}))


def test_an_archive_that_is_longer_than_the_whole_area_never_waits() -> None:
    rig = Rig(staging=InMemoryStagingArea(SIZE))
    rig.tools = replace(rig.tools, archives=ArchivePolicy(check_packed_size=False))
    (record,) = rig.plan()
    space.claim_dataset(record.key.pid, rig.tools)
    rig.store.put(record.datablock.archive_id, tar(FILES) + bytes(50))
    with pytest.raises(errors.LargerThanStaging, match="in all"):
        recall.recall(record, rig.tools)


@pytest.mark.parametrize("error", [errors.StoreUnavailable, errors.DatablockUnreadable])
def test_an_error_of_the_store_passes_through(error: type[RetrieverError]) -> None:
    rig = Rig()
    (record,) = rig.plan()
    if error is errors.StoreUnavailable:
        rig.store.go_away()
    else:
        rig.store.forbid(record.datablock.archive_id)
    with pytest.raises(error):
        recall.recall(record, rig.tools)


def test_an_attempt_that_was_given_up_takes_nothing_back_of_what_another_one_copied() -> None:
    rig = Rig()
    (record,) = rig.plan()
    rig.copy(record)
    copied = rig.record(record.key)
    for on_tape in (True, False):
        rig.store.put(record.datablock.archive_id, tar(FILES), on_tape=on_tape)
        with pytest.raises(errors.JobCancelled):
            recall.recall(record, rig.tools, lambda: True)
        with pytest.raises(errors.JobCancelled):
            recall.prepare([record], rig.tools, lambda: True)
    assert rig.record(record.key) == copied
