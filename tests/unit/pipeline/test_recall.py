from dataclasses import replace

import pytest

from scicat_retriever.domain import errors
from scicat_retriever.domain.errors import RetrieverError
from scicat_retriever.domain.states import DatablockState
from scicat_retriever.pipeline import recall
from tests.fakes.long_term_store import InMemoryLongTermStore
from tests.fakes.staging_area import InMemoryStagingArea
from tests.unit.pipeline.rig import FILES, Rig, tar

SIZE = len(tar(FILES))


def test_a_datablock_with_room_is_given_its_space() -> None:
    rig = Rig(staging=InMemoryStagingArea(2 * SIZE))
    first, second = rig.plan(rig.archive(0), rig.archive(1))
    recall.reserve_space(first, rig.tools)
    recall.reserve_space(second, rig.tools)
    assert rig.ledger.reserve(first.key, SIZE + 1, rig.staging.free_bytes()) == 1


def test_a_datablock_without_room_is_told_how_much_is_missing() -> None:
    rig = Rig(staging=InMemoryStagingArea(2 * SIZE - 100))
    first, second = rig.plan(rig.archive(0), rig.archive(1))
    recall.reserve_space(first, rig.tools)
    with pytest.raises(errors.NoSpaceYet, match="waiting for 100 more bytes of staging space"):
        recall.reserve_space(second, rig.tools)
    after = rig.record(second.key)
    assert (after.state, after.reason) == (
        DatablockState.WAITING_FOR_SPACE,
        "waiting for 100 more bytes of staging space",
    )


def test_a_datablock_that_waited_gets_its_space_once_there_is_some() -> None:
    rig = Rig(staging=InMemoryStagingArea(2 * SIZE - 100))
    first, second = rig.plan(rig.archive(0), rig.archive(1))
    recall.reserve_space(first, rig.tools)
    with pytest.raises(errors.NoSpaceYet):
        recall.reserve_space(second, rig.tools)
    rig.ledger.forget_reservation(first.key)
    recall.reserve_space(rig.record(second.key), rig.tools)


def test_a_datablock_larger_than_the_whole_area_never_waits() -> None:
    rig = Rig(staging=InMemoryStagingArea(SIZE - 1))
    (record,) = rig.plan()
    with pytest.raises(errors.LargerThanStaging, match=rf"p-0\.tar needs {SIZE} bytes.*{SIZE - 1} in all"):
        recall.reserve_space(record, rig.tools)


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
