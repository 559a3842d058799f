from datetime import timedelta

import pytest

from scicat_retriever.domain.errors import JobCancelled
from scicat_retriever.domain.ids import DatasetPid
from scicat_retriever.domain.states import DatablockState, JobState
from scicat_retriever.pipeline.staging import fixity
from scicat_retriever.pipeline.staging.fixity import Fixity, FixityLook
from scicat_retriever.pipeline.staging.fixity_pace import FixityPace
from scicat_retriever.pipeline.staging.inventory import FEW
from tests.unit.pipeline.rig import FILES, JOB, PID, Rig, tar

EVERY = timedelta(days=30)
PACE = FixityPace(EVERY.total_seconds(), 10**12)


def check(rig: Rig, pace: FixityPace = PACE, *, cancelled: bool = False) -> Fixity:
    return FixityLook(pace, rig.tools, lambda: cancelled).run()


def due(*pids: DatasetPid, content: bytes | None = None) -> Rig:
    """Datasets that were staged so long ago that they should be read again."""
    rig = Rig()
    rig.retrieved(*(pids or (PID,)))
    rig.deliver()
    if content is not None:
        for record in rig.ledger.inventory.staged_after(None, 100):
            rig.staging.damage_staged(record.key, content)
    rig.clock.advance(EVERY + timedelta(seconds=1))
    return rig


def test_the_regular_look_counts_what_it_withdraws_and_keeps_what_it_found() -> None:
    rig = due(content=b"something else")
    assert fixity.look(PACE, rig.tools, lambda: False) == 1
    found = rig.ledger.findings.latest()[fixity.FINDING].found
    assert found == {"right": 0, "wrong": 1, "unreadable": 0, "renewed": 0, "advice": ""}


def test_a_regular_look_that_is_stopped_ends_as_one_that_is_not_done() -> None:
    rig = due()
    with pytest.raises(JobCancelled):
        fixity.look(PACE, rig.tools, lambda: True)
    assert fixity.FINDING not in rig.ledger.findings.latest()
    assert check(rig) == Fixity(right=1)


def test_what_was_staged_lately_is_not_read_again() -> None:
    rig = Rig()
    rig.retrieved(PID)
    assert check(rig) == Fixity()


def test_what_is_still_right_is_read_once_in_its_time() -> None:
    rig = due()
    assert check(rig) == Fixity(right=1)
    assert rig.ledger.datablocks.of(PID)[0].checked_at == rig.clock()
    assert check(rig) == Fixity()


def test_a_flipped_bit_has_the_datablock_withdrawn_and_retrieved_again() -> None:
    content = bytearray(tar(FILES))
    content[700] ^= 1
    rig = due(content=bytes(content))
    assert check(rig) == Fixity(wrong=1)
    assert rig.ledger.datablocks.of(PID)[0].state is DatablockState.RELEASED
    job = rig.ledger.jobs.get(JOB)
    assert job is not None
    assert (job.state, job.attempt) == (JobState.SUBMITTED, 2)


def test_all_that_changed_of_a_job_is_retrieved_again() -> None:
    pids = [DatasetPid(f"20.500.12345/{number}") for number in range(3)]
    rig = due(*pids, content=b"something else")
    assert check(rig) == Fixity(wrong=3)
    assert {each.state.value for each in rig.ledger.jobs.datasets(JOB)} == {"submitted"}


def test_where_many_have_changed_at_once_it_ends_and_an_operator_is_asked() -> None:
    pids = [DatasetPid(f"20.500.12345/{number}") for number in range(FEW + 5)]
    found = check(due(*pids, content=b"something else"))
    assert found.wrong == FEW + 1
    assert "look after the storage" in found.advice


def test_what_cannot_be_read_is_left_as_it_is_and_keeps_no_other_from_its_turn() -> None:
    other = DatasetPid("20.500.12345/q")
    rig = due(PID, other)
    rig.staging.delete(rig.ledger.datablocks.of(PID)[0].key)
    assert check(rig) == Fixity(right=1, unreadable=1)
    assert rig.ledger.datablocks.of(PID)[0].state is DatablockState.STAGED


def test_what_is_released_while_it_is_read_is_no_fault() -> None:
    rig = due(content=b"something else")
    (record,) = rig.ledger.datablocks.of(PID)

    def release() -> bool:
        rig.ledger.cache.withdraw(record.key, "by somebody else")
        return False

    assert FixityLook(PACE, rig.tools, release).run().wrong == 0


def test_reading_that_is_cancelled_changes_nothing() -> None:
    rig = due()
    assert check(rig, cancelled=True) == Fixity()
    assert check(rig) == Fixity(right=1)


def test_reading_is_no_faster_than_allowed_and_never_pauses_for_long() -> None:
    rig = due()
    pauses = list[float]()
    FixityLook(FixityPace(EVERY.total_seconds(), 1000), rig.tools, lambda: False, pauses.append).run()
    # Nobody really pauses here, so each pause makes up for all that was read until then.
    assert pauses[-1] == pytest.approx(len(tar(FILES)) / 1000, abs=1.0)
    assert len(pauses) == -(-len(tar(FILES)) // 1000)


def test_nothing_is_read_where_the_pace_is_nought() -> None:
    assert check(due(), FixityPace(EVERY.total_seconds(), 0)) == Fixity()


def test_a_finding_has_plain_values() -> None:
    assert Fixity(right=3, advice="look").as_finding()["right"] == 3
