from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import replace

import pytest

from scicat_retriever.domain.errors import StagingWriteFailed
from scicat_retriever.domain.evidence import DatablockKey
from scicat_retriever.domain.ids import DatablockId, DatasetPid, JobId
from scicat_retriever.domain.states import DatablockState, DatasetState, JobState
from scicat_retriever.pipeline.staging import eviction, inventory
from scicat_retriever.pipeline.staging.inventory import GRACE, Inventory
from scicat_retriever.ports.staging_area import Holding
from tests.fakes.ledger import InMemoryLedger
from tests.fakes.staging_area import InMemoryStagingArea
from tests.unit.pipeline.rig import FILES, JOB, PID, HandClock, Rig, tar

State = DatablockState
SIZE = len(tar(FILES))
Q = DatasetPid("20.500.12345/q")
STRANGER = DatablockKey(DatasetPid("nobody's"), DatablockId("block"))


def dated() -> Rig:
    """Staging whose files are dated by the same clock."""
    clock = HandClock()
    return Rig(clock=clock, staging=InMemoryStagingArea(clock=clock))


def leave_behind(staging: InMemoryStagingArea, key: DatablockKey = STRANGER, *, whole: bool = True) -> None:
    """Put a file into staging without a word to the ledger."""
    with staging.open_partial(key, 3) as partial:
        partial.write(memoryview(b"abc"))
        partial.seal()
    if whole:
        staging.commit(key, partial.token, partial.receipt)


class Unlisted(InMemoryStagingArea):
    """Staging that can be written and read, and, once it is away, not be looked through."""

    away = False

    def holdings(self) -> Iterator[Holding]:
        if self.away:
            raise StagingWriteFailed("it hangs")
        return super().holdings()


def finding(rig: Rig) -> Mapping[str, int | str]:
    """What operators are told that the last look found."""
    return rig.ledger.findings.latest()[inventory.FINDING].found


def test_what_the_regular_look_found_is_kept_and_what_it_mended_counted() -> None:
    rig = dated()
    rig.retrieved(PID)
    rig.deliver()
    (record,) = rig.ledger.datablocks.of(PID)
    rig.staging.delete(record.key)
    leave_behind(rig.staging)
    rig.clock.advance(2 * GRACE)
    assert inventory.look(rig.tools) == 2
    assert (finding(rig)["missing"], finding(rig)["withdrawn"], finding(rig)["removed"]) == (1, 1, 1)


def test_a_regular_look_that_fails_says_so_in_place_of_what_the_last_one_found() -> None:
    staging = Unlisted()
    rig = Rig(staging=staging)
    inventory.look(rig.tools)
    staging.away = True
    with pytest.raises(StagingWriteFailed) as failed:
        inventory.look(rig.tools)
    assert finding(rig) == {"error": failed.value.code, "message": "it hangs"}


def test_where_ledger_and_storage_agree_nothing_is_done() -> None:
    rig = dated()
    rig.retrieved(PID)
    assert inventory.check_staging(rig.tools) == Inventory(staged=1, files=1)


@pytest.mark.parametrize("loss", ["missing", "wrong_size"])
def test_a_file_that_is_gone_or_has_another_size_is_retrieved_again_for_the_job_with_links_to_it(
    loss: str,
) -> None:
    rig = dated()
    rig.retrieved(PID)
    rig.deliver()
    (record,) = rig.ledger.datablocks.of(PID)
    if loss == "missing":
        rig.staging.delete(record.key)
    else:
        rig.staging.damage_staged(record.key, b"short")
    found = inventory.check_staging(rig.tools)
    assert (getattr(found, loss), found.withdrawn, found.retried, found.advice) == (1, 1, 1, "")
    assert rig.record(record.key).state is State.RELEASED
    job = rig.ledger.jobs.get(JOB)
    assert job is not None
    assert (job.state, job.attempt) == (JobState.SUBMITTED, 2)
    assert [each.state for each in rig.ledger.jobs.datasets(JOB)] == [DatasetState.SUBMITTED]


def test_all_that_is_lost_of_a_job_is_retrieved_again_at_once() -> None:
    rig = dated()
    rig.retrieved(PID, Q)
    rig.deliver()
    for record in rig.ledger.inventory.staged_after(None, 10):
        rig.staging.delete(record.key)
    inventory.check_staging(rig.tools)
    assert [each.state for each in rig.ledger.jobs.datasets(JOB)] == [DatasetState.SUBMITTED] * 2


def test_a_job_of_which_something_was_withdrawn_is_found_by_a_later_look_as_well() -> None:
    rig = dated()
    rig.retrieved(PID)
    (record,) = rig.ledger.datablocks.of(PID)
    assert inventory.withdraw(record, "it is wrong", rig.tools)
    assert inventory.mend(rig.tools) == 1
    assert inventory.mend(rig.tools) == 0


def test_what_another_job_brings_back_is_not_retrieved_for_all_that_had_it() -> None:
    rig = dated()
    rig.retrieved(PID)
    (record,) = rig.ledger.datablocks.of(PID)
    inventory.withdraw(record, "it is wrong", rig.tools)
    rig.job(PID, name=JobId("another"))
    assert inventory.mend(rig.tools) == 0


def test_a_file_that_was_staged_anew_meanwhile_is_not_withdrawn() -> None:
    rig = dated()
    rig.retrieved(PID)
    (record,) = rig.ledger.datablocks.of(PID)
    rig.staging.delete(record.key)
    (planned,) = rig.plan_again("run-2")
    rig.stage(planned)
    assert not inventory.withdraw(record, "it was gone a moment ago", rig.tools)
    assert rig.record(record.key).state is State.STAGED


def test_what_was_withdrawn_is_removed_by_the_next_sweep() -> None:
    rig = dated()
    rig.retrieved(PID)
    (record,) = rig.ledger.datablocks.of(PID)
    rig.staging.damage_staged(record.key, b"short")
    inventory.check_staging(rig.tools)
    eviction.sweep(rig.tools)
    assert rig.staging.staged_keys() == set()


def test_an_old_file_of_no_datablock_is_removed_and_a_young_one_left() -> None:
    rig = dated()
    rig.retrieved(PID)
    leave_behind(rig.staging)
    leave_behind(rig.staging, whole=False)
    assert inventory.check_staging(rig.tools).orphans == 0
    rig.clock.advance(GRACE * 2)
    found = inventory.check_staging(rig.tools)
    assert (found.files, found.orphans, found.removed) == (3, 2, 2)
    assert {key.pid for key in rig.staging.staged_keys() | rig.staging.partial_keys()} == {PID}


def test_a_file_that_is_being_written_is_nobodys_orphan_however_old_it_is() -> None:
    rig = dated()
    (record,) = rig.plan()
    rig.ledger.datablocks.move(record.key, State.RECALLING)
    rig.ledger.datablocks.move(record.key, State.COPYING)
    leave_behind(rig.staging, record.key, whole=False)
    rig.clock.advance(GRACE * 2)
    assert inventory.check_staging(rig.tools).orphans == 0
    assert rig.staging.partial_keys() == {record.key}


def test_a_copy_that_waits_for_its_verification_is_nobodys_orphan() -> None:
    rig = dated()
    (record,) = rig.plan()
    rig.copy(record)
    rig.clock.advance(GRACE * 2)
    assert inventory.check_staging(rig.tools).orphans == 0


class BusyLedger(InMemoryLedger):
    """A ledger where something else happens once it has said whose files they are."""

    meanwhile: Callable[[], None] = staticmethod(lambda: None)

    def known_tokens(self, tokens: Collection[str]) -> Collection[str]:
        known = super().known_tokens(tokens)
        happens, self.meanwhile = self.meanwhile, lambda: None
        happens()
        return known


def test_a_copy_that_becomes_whole_while_files_are_looked_at_is_nobodys_orphan() -> None:
    rig = dated()
    rig.ledger = ledger = BusyLedger(rig.clock)
    rig.tools = replace(rig.tools, ledger=ledger)
    (record,) = rig.plan()
    copied = rig.copy(record)
    manifest = ledger.copies.manifest(record.key) or b""
    ledger.datablocks.move(record.key, State.COPYING)
    rig.clock.advance(GRACE * 2)
    ledger.meanwhile = lambda: ledger.copies.save(copied, manifest)
    assert inventory.check_staging(rig.tools).orphans == 0


def many(count: int) -> list[DatasetPid]:
    return [DatasetPid(f"20.500.12345/{number}") for number in range(count)]


def test_where_most_files_are_gone_nothing_is_withdrawn_and_an_operator_is_asked() -> None:
    rig = dated()
    rig.retrieved(*many(inventory.FEW + 2))
    for record in rig.ledger.inventory.staged_after(None, 100)[1:]:
        rig.staging.delete(record.key)
    found = inventory.check_staging(rig.tools)
    assert (found.missing, found.withdrawn) == (inventory.FEW + 1, 0)
    assert "11 of 12 staged files are gone or wrong" in found.advice
    job = rig.ledger.jobs.get(JOB)
    assert job is not None
    assert job.state is JobState.SUCCESSFUL


def test_where_most_files_are_of_no_known_datablock_none_is_removed_and_an_operator_is_asked() -> None:
    rig = dated()
    rig.retrieved(PID)
    for number in range(inventory.FEW + 1):
        leave_behind(rig.staging, DatablockKey(PID, DatablockId(f"other-{number}")))
    rig.clock.advance(GRACE * 2)
    found = inventory.check_staging(rig.tools)
    assert (found.orphans, found.removed) == (inventory.FEW + 1, 0)
    assert "no other service" in found.advice


def test_a_finding_has_plain_values() -> None:
    assert Inventory(staged=3, advice="look").as_finding()["advice"] == "look"
