from dataclasses import replace

import pytest

from scicat_retriever.domain import errors
from scicat_retriever.domain.errors import RetrieverError
from scicat_retriever.domain.ids import DatasetPid
from scicat_retriever.domain.states import DatablockState
from scicat_retriever.pipeline import recall, space
from tests.fakes.long_term_store import InMemoryLongTermStore
from tests.fakes.staging_area import InMemoryStagingArea
from tests.unit.pipeline.rig import FILES, Rig, tar

SIZE = len(tar(FILES))
Q = DatasetPid("20.500.12345/q")


def test_an_archive_that_is_online_is_recalled_with_the_stores_size() -> None:
    rig = Rig()
    (record,) = rig.plan()
    assert recall.recall(record, rig.tools).size == SIZE
    assert rig.store.requested == []
    assert rig.record(record.key).state is DatablockState.RECALLING


def test_an_archive_on_tape_is_asked_for_and_waited_for() -> None:
    rig = Rig()
    block = rig.archive()
    rig.store.put(block.datablock.archive_id, tar(FILES), on_tape=True)
    (record,) = rig.plan(block)
    with pytest.raises(errors.NotYetOnline, match=r"p-0\.tar"):
        recall.recall(record, rig.tools)
    assert rig.store.requested == [block.datablock.archive_id]
    with pytest.raises(errors.NotYetOnline, match="waiting for its tape"):
        recall.recall(record, rig.tools)
    assert rig.record(record.key).reason == "waiting for its tape"
    assert rig.store.requested == [block.datablock.archive_id]


def test_an_archive_that_came_back_from_tape_is_recalled() -> None:
    rig = Rig(store=InMemoryLongTermStore(delivers_at_once=True))
    block = rig.archive()
    rig.store.put(block.datablock.archive_id, tar(FILES), on_tape=True)
    (record,) = rig.plan(block)
    with pytest.raises(errors.NotYetOnline):
        recall.recall(record, rig.tools)
    assert recall.recall(rig.record(record.key), rig.tools).archive_id == block.datablock.archive_id
    assert rig.record(record.key).reason == ""


def test_an_archive_that_the_store_does_not_have_is_missing() -> None:
    rig = Rig()
    (record,) = rig.plan()
    rig.store.lose(record.datablock.archive_id)
    with pytest.raises(errors.DatablockMissing, match=r"has no p-0\.tar"):
        recall.recall(record, rig.tools)
    assert "p-0.tar" in rig.record(record.key).reason


def test_an_archive_of_another_size_than_catalogued_is_not_complete_yet() -> None:
    rig = Rig()
    (record,) = rig.plan()
    rig.store.put(record.datablock.archive_id, tar(FILES)[:-10])
    with pytest.raises(errors.ArchiveIncomplete, match=rf"{SIZE - 10} bytes.*{SIZE} in the catalogue"):
        recall.recall(record, rig.tools)
    assert str(SIZE - 10) in rig.record(record.key).reason


def test_the_catalogued_size_is_not_compared_where_the_settings_say_so() -> None:
    rig = Rig()
    rig.tools = replace(rig.tools, check_packed_size=False)
    (record,) = rig.plan()
    rig.store.put(record.datablock.archive_id, tar(FILES)[:-10])
    assert recall.recall(record, rig.tools).size == SIZE - 10
    assert rig.record(record.key).bytes_total == SIZE - 10


def test_an_archive_longer_than_catalogued_waits_for_the_space_that_it_needs_beside() -> None:
    rig = Rig(staging=InMemoryStagingArea(SIZE + 100))
    rig.tools = replace(rig.tools, check_packed_size=False)
    (record,) = rig.plan()
    space.claim_dataset(record.key.pid, rig.tools)
    (other,) = rig.plan(rig.archive(pid=Q, content=b"x" * 60), pid=Q)
    space.claim_dataset(Q, rig.tools)
    rig.store.put(record.datablock.archive_id, tar(FILES) + bytes(50))
    with pytest.raises(errors.NoSpaceYet, match="waiting for 10 bytes of staging space"):
        recall.recall(record, rig.tools)
    assert rig.record(record.key).state is DatablockState.WAITING_FOR_SPACE
    rig.ledger.move_datablock(other.key, DatablockState.FAILED)
    rig.ledger.end_claim(Q)
    assert recall.recall(rig.record(record.key), rig.tools).size == SIZE + 50


def test_an_archive_that_is_longer_than_the_whole_area_never_waits() -> None:
    rig = Rig(staging=InMemoryStagingArea(SIZE))
    rig.tools = replace(rig.tools, check_packed_size=False)
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
