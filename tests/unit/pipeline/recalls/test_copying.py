from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta

import pytest

from scicat_retriever.domain import errors
from scicat_retriever.domain.errors import RetrieverError
from scicat_retriever.domain.evidence import DatablockKey
from scicat_retriever.domain.ids import DatablockId
from scicat_retriever.domain.states import DatablockState
from scicat_retriever.pipeline.recalls import copying, recall
from scicat_retriever.pipeline.staging import space
from scicat_retriever.pipeline.tools.attempts import AttemptFailed
from scicat_retriever.pipeline.transfer import publish
from scicat_retriever.ports.datablock_record import DatablockRecord
from scicat_retriever.ports.staging_area import Partial, Room
from tests.fakes.staging_area import InMemoryStagingArea
from tests.unit.pipeline.rig import FILES, PID, Rig, tar

FIRST, SECOND = DatablockId("block-0"), DatablockId("block-1")


@dataclass
class Memory:
    """What the engine keeps from attempt to attempt."""

    kept: list[tuple[DatablockId, int]] = field(default_factory=list)

    def tries(self, allowed: int = 3) -> copying.Tries:
        last = self.kept[-1] if self.kept else ("", 0)
        return copying.Tries(allowed, lambda *details: self.kept.append(details), *last)


class StagingThatGoes(InMemoryStagingArea):
    """Is another's, or not mounted, once it has gone."""

    gone = False

    def room(self) -> Room:
        self._refuse()
        return super().room()

    @contextmanager
    def open_partial(self, key: DatablockKey, size: int) -> Iterator[Partial]:
        self._refuse()
        with super().open_partial(key, size) as partial:
            yield partial

    def commit(self, key: DatablockKey, token: str, receipt: str) -> None:
        self._refuse()
        super().commit(key, token, receipt)

    def _refuse(self) -> None:
        if self.gone:
            raise errors.StagingNotOurs("it is not mounted")


def rig_of_two(*, on_tape: bool = False) -> tuple[Rig, list[DatablockRecord]]:
    rig = Rig(staging=StagingThatGoes())
    blocks = [rig.archive(0), rig.archive(1)]
    if on_tape:
        rig.store.put(blocks[1].datablock.archive_id, tar(FILES), on_tape=True)
    records = rig.plan(*blocks)
    space.claim_dataset(PID, rig.tools)
    return rig, records


def go_away(rig: Rig) -> None:
    assert isinstance(rig.staging, StagingThatGoes)
    rig.staging.gone = True


def never() -> bool:
    return False


def test_what_is_online_can_be_copied_and_what_is_on_tape_is_asked_for() -> None:
    rig, (first, second) = rig_of_two(on_tape=True)
    ready, waiting = copying.to_copy(PID, 0, 10, rig.tools, never)
    assert ([each.key for each in ready], [each.key for each in waiting]) == ([first.key], [second.key])
    assert [each.key for each in rig.ledger.recalls.of_dataset(PID)] == [second.key]


def test_what_is_copied_is_not_copied_again() -> None:
    rig, (first, second) = rig_of_two()
    assert copying.bring(first, Memory().tries(), rig.tools, never)
    ready, waiting = copying.to_copy(PID, 0, 10, rig.tools, never)
    assert ([each.key for each in ready], waiting) == ([second.key], [])
    assert copying.bring(rig.record(first.key), Memory().tries(), rig.tools, never)
    assert len(rig.store.opened) == 1


def test_a_page_is_a_part_of_the_datablocks() -> None:
    rig, (_, second) = rig_of_two()
    ready, _ = copying.to_copy(PID, 1, 10, rig.tools, never)
    assert [each.key for each in ready] == [second.key]


def test_what_went_back_to_tape_is_asked_for_and_has_not_failed() -> None:
    rig, (_, second) = rig_of_two(on_tape=True)
    memory = Memory()
    assert not copying.bring(second, memory.tries(), rig.tools, never)
    assert [each.key for each in rig.ledger.recalls.of_dataset(PID)] == [second.key]
    assert memory.kept == []


def test_a_copy_that_is_stopped_does_nothing() -> None:
    rig, (first, _) = rig_of_two()
    with pytest.raises(errors.JobCancelled):
        copying.bring(first, Memory().tries(), rig.tools, lambda: True)
    assert rig.record(first.key).state is DatablockState.PLANNED


def test_a_datablock_is_given_up_after_as_many_failures_as_are_allowed() -> None:
    rig, (first, _) = rig_of_two()
    memory = Memory()
    finals = []
    for _ in range(3):
        rig.store.break_reads(first.datablock.archive_id, 100)
        with pytest.raises(AttemptFailed) as failed:
            copying.bring(rig.record(first.key), memory.tries(3), rig.tools, never)
        finals.append((failed.value.error.code, failed.value.is_final, failed.value.archive_id))
    archive = first.datablock.archive_id
    assert finals == [("read_failed", False, archive)] * 2 + [("read_failed", True, archive)]
    assert memory.kept == [(FIRST, 1), (FIRST, 2), (FIRST, 3)]


def test_each_datablock_of_a_batch_has_its_own_attempts() -> None:
    tries = copying.Tries(2, lambda *_: None, FIRST, 1)
    assert not tries.is_last(SECOND, errors.ReadFailed("x"))
    assert tries.is_last(SECOND, errors.ReadFailed("x"))


@pytest.mark.parametrize(
    "error",
    [
        errors.LedgerUnavailable("locked"),
        errors.WorkerStopping("stops"),
        errors.NoSpaceYet("full"),
        errors.StagingNotOurs("not mounted"),
    ],
)
def test_what_says_nothing_of_the_archive_uses_no_attempt_up(error: RetrieverError) -> None:
    memory = Memory()
    tries = memory.tries(1)
    assert not tries.is_last(FIRST, error)
    assert memory.kept == [(FIRST, 0)]


def test_a_datablock_that_waits_for_the_staging_area_shows_it() -> None:
    rig, (first, _) = rig_of_two()
    go_away(rig)
    with pytest.raises(AttemptFailed) as failed:
        copying.bring(first, Memory().tries(1), rig.tools, never)
    record = rig.record(first.key)
    assert not failed.value.is_final
    assert (record.state, record.reason) == (DatablockState.RECALLING, str(failed.value.error))


@pytest.mark.parametrize(
    ("patience", "seconds"), [(None, 3600.0), (timedelta(seconds=10), 10.05), (timedelta(hours=5), 3600.0)]
)
def test_recalls_are_looked_at_when_one_may_be_given_up_and_once_an_hour(
    patience: timedelta | None, seconds: float
) -> None:
    assert copying.next_look(recall.News([], [], patience)) == seconds


def test_datablocks_that_are_not_right_are_named_and_the_others_staged() -> None:
    rig, records = rig_of_two()
    for record in records:
        copying.bring(record, Memory().tries(), rig.tools, never)
    rig.staging.discard_partial(records[0].key)
    copied = [rig.record(record.key) for record in records]
    ((record, error),) = publish.verify_wanted(copied, rig.tools, never, is_last=False)
    assert (record.key, error.code) == (records[0].key, "staged_file_missing")
    assert rig.record(records[1].key).state is DatablockState.STAGED


def test_verification_that_is_stopped_stages_nothing() -> None:
    rig, (first, _) = rig_of_two()
    copying.bring(first, Memory().tries(), rig.tools, never)
    with pytest.raises(errors.JobCancelled):
        publish.verify_wanted([rig.record(first.key)], rig.tools, lambda: True, is_last=False)
    assert rig.record(first.key).state is DatablockState.COPIED


@pytest.mark.parametrize("is_last", [False, True])
def test_a_staging_area_that_is_not_mounted_is_waited_for_by_verification_however_often(
    *, is_last: bool
) -> None:
    rig, (first, _) = rig_of_two()
    copying.bring(first, Memory().tries(), rig.tools, never)
    go_away(rig)
    with pytest.raises(AttemptFailed) as failed:
        publish.verify_wanted([rig.record(first.key)], rig.tools, never, is_last=is_last)
    assert not failed.value.is_final
    assert failed.value.archive_id == first.datablock.archive_id


@pytest.mark.parametrize(
    ("code", "kept"),
    [
        ("read_failed", True),
        ("checksum_mismatch", True),
        ("job_cancelled", False),
        ("space_timed_out", False),
        ("larger_than_staging", False),
    ],
)
def test_what_is_kept_of_a_failed_run_goes_by_why_it_failed(code: str, *, kept: bool) -> None:
    assert publish.is_kept_after(code) is kept
