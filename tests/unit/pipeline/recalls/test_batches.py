from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from scicat_retriever.domain.dataset import Datablock
from scicat_retriever.domain.ids import ArchiveId, DatablockId
from scicat_retriever.domain.states import DatablockState
from scicat_retriever.pipeline.transfer.copy import BATCH_BYTES, BATCH_DATABLOCKS, batches
from scicat_retriever.ports.datablock_record import DatablockRecord
from tests.unit.pipeline.rig import PID

SIZES = st.sampled_from([0, 1, BATCH_BYTES // 3, BATCH_BYTES // 2, BATCH_BYTES, BATCH_BYTES + 1, 2**50])


def record(number: int, size: int) -> DatablockRecord:
    block = Datablock(DatablockId(f"{number}"), PID, ArchiveId(f"{number}.tar"), size, size, None, 1)
    return DatablockRecord(block, number, DatablockState.PLANNED, 0, size)


@given(st.lists(SIZES, max_size=60) | st.lists(st.just(1), max_size=60))
def test_batches_hold_every_datablock_once_in_order_and_no_more_than_they_may(sizes: list[int]) -> None:
    records = [record(number, size) for number, size in enumerate(sizes)]
    made = list(batches(records))
    assert [each for batch in made for each in batch] == records
    for batch in made:
        assert 1 <= len(batch) <= BATCH_DATABLOCKS
        assert len(batch) == 1 or sum(each.bytes_total for each in batch) <= BATCH_BYTES


@given(st.lists(SIZES, min_size=1, max_size=20), st.data())
def test_a_datablock_of_unknown_or_great_size_is_a_batch_of_its_own(
    sizes: list[int], data: st.DataObject
) -> None:
    place = data.draw(st.integers(0, len(sizes) - 1))
    sizes[place] = data.draw(st.sampled_from([0, BATCH_BYTES, 2**50]))
    made = list(batches(record(number, size) for number, size in enumerate(sizes)))
    (its,) = [batch for batch in made if any(each.position == place for each in batch)]
    assert len(its) == 1


def test_extracts_of_one_archive_are_in_different_batches() -> None:
    one, other, third = (record(number, 1) for number in range(3))
    same = replace(other, datablock=replace(other.datablock, archive_id=one.datablock.archive_id))
    assert list(batches([one, same, third])) == [[one], [same, third]]


def test_small_datablocks_fill_their_batches() -> None:
    made = list(batches(record(number, 1) for number in range(2 * BATCH_DATABLOCKS + 1)))
    assert [len(batch) for batch in made] == [BATCH_DATABLOCKS, BATCH_DATABLOCKS, 1]
