from collections.abc import Callable
from datetime import timedelta

import pytest

from scicat_retriever.domain.evidence import DatablockKey
from scicat_retriever.domain.ids import DatasetPid
from scicat_retriever.domain.states import DatablockState
from scicat_retriever.pipeline.staging import space
from scicat_retriever.pipeline.transfer import publish
from tests.fakes.staging_area import InMemoryStagingArea
from tests.unit.pipeline.rig import FILES, PID, Rig, tar, without_checksums

State = DatablockState
Q = DatasetPid("20.500.12345/q")
ROTTEN = tar({**FILES, "run/a.dat": b"alphA" + FILES["run/a.dat"][5:]})
"""As long as the good archive, and not the same."""


def test_discarding_removes_what_the_failed_run_left_and_nothing_else() -> None:
    rig = Rig()
    (neighbour,) = rig.staged_dataset(pid=Q)
    kept, staged, copied, planned = rig.plan(*(rig.archive(number) for number in range(4)))
    rig.stage(kept)
    rig.catalogue.add_dataset(
        PID, [rig.archive(0), *(rig.archive(n, algorithm="SHA256") for n in range(1, 4))]
    )
    rig.plan_again("run-2")
    rig.stage(rig.record(staged.key))
    rig.copy(rig.record(copied.key))
    publish.discard(PID, "run-2", "checksum_mismatch", rig.tools, keep_verified=False)
    assert rig.staging.staged_keys() == {neighbour.key, kept.key}
    assert rig.staging.partial_keys() == set()
    assert [rig.record(r.key).state for r in (neighbour, kept, staged, copied, planned)] == [
        State.STAGED,
        State.STAGED,
        State.RELEASED,
        State.FAILED,
        State.FAILED,
    ]
    assert rig.record(copied.key).reason == "checksum_mismatch"


def test_discarding_gives_the_space_back() -> None:
    rig = Rig()
    rig.plan()
    space.claim_dataset(PID, rig.tools)
    publish.discard(PID, "run-1", "timed out", rig.tools, keep_verified=False)
    assert rig.ledger.inventory.usage().claimed == 0


@pytest.mark.parametrize("keep", [False, True])
def test_discarding_again_changes_nothing(*, keep: bool) -> None:
    rig = Rig()
    first, second = rig.plan(rig.archive(0), rig.archive(1))
    rig.stage(first)
    rig.copy(second)
    publish.discard(PID, "run-1", "why", rig.tools, keep_verified=keep)
    before = rig.ledger.datablocks.of(PID)
    publish.discard(PID, "run-1", "why", rig.tools, keep_verified=keep)
    assert rig.ledger.datablocks.of(PID) == before


@pytest.mark.parametrize("keep", [False, True])
def test_discarding_ends_what_an_attempt_left_that_died_in_the_middle(*, keep: bool) -> None:
    rig = Rig()
    (record,) = rig.staged_dataset()
    rig.ledger.datablocks.move(record.key, State.RELEASED, "why")
    publish.discard(PID, "run-1", "why", rig.tools, keep_verified=keep)
    assert rig.staging.staged_keys() == set()


def test_discarding_works_while_the_store_is_away() -> None:
    rig = Rig()
    (record,) = rig.staged_dataset()
    rig.store.go_away()
    publish.discard(PID, "run-1", "why", rig.tools, keep_verified=False)
    assert rig.record(record.key).state is State.RELEASED


def test_what_the_failed_run_staged_is_kept_for_a_retry() -> None:
    rig = Rig()
    staged, planned = rig.plan(rig.archive(0), rig.archive(1))
    rig.stage(staged)
    publish.discard(PID, "run-1", "read_failed", rig.tools, keep_verified=True)
    assert [rig.record(r.key).state for r in (staged, planned)] == [State.STAGED, State.FAILED]
    assert rig.staging.staged_keys() == {staged.key}


def test_a_copy_of_the_failed_run_that_is_right_is_staged_for_a_retry() -> None:
    rig, content = Rig(), tar(FILES)
    (record,) = rig.plan(rig.archive(content=content))
    rig.copy(record)
    publish.discard(PID, "run-1", "read_failed", rig.tools, keep_verified=True)
    after = rig.record(record.key)
    assert (after.state, after.pinned) == (State.STAGED, False)
    assert rig.staging.staged_content(record.key) == content


def test_a_copy_of_the_failed_run_that_is_wrong_is_removed() -> None:
    rig = Rig()
    (record,) = rig.plan(rig.archive(content=ROTTEN))
    rig.copy(record)
    publish.discard(PID, "run-1", "checksum_mismatch", rig.tools, keep_verified=True)
    assert rig.record(record.key).state is State.FAILED
    assert rig.staging.staged_keys() | rig.staging.partial_keys() == set()


def test_a_copy_whose_file_is_gone_is_not_kept() -> None:
    rig = Rig()
    (record,) = rig.plan()
    rig.copy(record)
    rig.staging.discard_partial(record.key)
    publish.discard(PID, "run-1", "read_failed", rig.tools, keep_verified=True)
    assert rig.record(record.key).state is State.FAILED


def test_a_copy_that_the_catalogue_says_too_little_of_is_not_kept() -> None:
    rig = Rig()
    (record,) = rig.plan(rig.archive(listed=without_checksums(FILES)))
    rig.copy(record)
    publish.discard(PID, "run-1", "checksum_missing", rig.tools, keep_verified=True)
    assert rig.record(record.key).state is State.FAILED


def test_nothing_of_a_cancelled_run_is_kept_though_it_be_right() -> None:
    rig = Rig()
    staged, copied = rig.plan(rig.archive(0), rig.archive(1))
    rig.stage(staged)
    rig.copy(copied)
    publish.discard(PID, "run-1", "job_cancelled", rig.tools, keep_verified=False)
    assert [rig.record(r.key).state for r in (staged, copied)] == [State.RELEASED, State.FAILED]
    assert rig.staging.staged_keys() | rig.staging.partial_keys() == set()


def test_what_was_promised_to_somebody_stays_whatever_its_run_is_said_to_have_ended_as() -> None:
    rig = Rig()
    staged, copied = rig.plan(rig.archive(0), rig.archive(1))
    rig.stage(staged)
    rig.copy(copied)
    rig.ledger.pins.pin(PID, "ada", rig.clock.now + timedelta(hours=1))
    publish.discard(PID, "run-1", "job_cancelled", rig.tools, keep_verified=False)
    assert [rig.record(r.key).state for r in (staged, copied)] == [State.STAGED, State.FAILED]
    assert rig.staging.staged_keys() | rig.staging.partial_keys() == {staged.key}


def test_a_retry_reads_only_what_was_not_kept() -> None:
    rig = Rig()
    copied, _ = rig.plan(rig.archive(0), rig.archive(1))
    rig.copy(copied)
    publish.discard(PID, "run-1", "read_failed", rig.tools, keep_verified=True)
    assert [r.state for r in rig.plan_again("run-2")] == [State.STAGED, State.PLANNED]


class Slow(InMemoryStagingArea):
    """A staging area where something else happens while partials are removed."""

    meanwhile: Callable[[], None] = staticmethod(lambda: None)

    def discard_partial(self, key: DatablockKey, token: str | None = None) -> None:
        super().discard_partial(key, token)
        happens, self.meanwhile = self.meanwhile, lambda: None
        happens()


def test_discarding_that_stood_still_touches_nothing_of_a_later_run() -> None:
    rig = Rig(staging=(area := Slow()))
    first, second = rig.plan(rig.archive(0), rig.archive(1))

    def retrieve_again() -> None:
        publish.discard(PID, "run-1", "why", rig.tools, keep_verified=False)
        for record in rig.plan_again("run-2"):
            rig.stage(record)

    area.meanwhile = retrieve_again
    publish.discard(PID, "run-1", "why", rig.tools, keep_verified=False)
    assert rig.staging.staged_keys() == {first.key, second.key}
    assert [record.state for record in rig.ledger.datablocks.of(PID)] == [State.STAGED] * 2
