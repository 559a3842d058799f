from datetime import timedelta

import pytest

from scicat_retriever.domain.states import DatablockState, JobState
from scicat_retriever.pipeline import fixity
from scicat_retriever.pipeline.fixity import Fixity, FixityPace
from tests.unit.pipeline.rig import FILES, JOB, PID, Rig, tar

EVERY = timedelta(days=30)
PACE = FixityPace(EVERY, bytes_per_second=10**12)


def check(rig: Rig, pace: FixityPace = PACE, *, cancelled: bool = False) -> Fixity | None:
    return fixity.check_next(pace, rig.tools, cancelled=lambda: cancelled)


def due(*, content: bytes | None = None) -> Rig:
    """A dataset that was staged so long ago that it should be read again."""
    rig = Rig()
    rig.retrieved(PID)
    rig.deliver()
    if content is not None:
        rig.staging.damage_staged(rig.ledger.datablocks(PID)[0].key, content)
    rig.clock.advance(EVERY + timedelta(seconds=1))
    return rig


def test_what_was_staged_lately_is_not_read_again() -> None:
    rig = Rig()
    rig.retrieved(PID)
    assert check(rig) is None


def test_what_is_still_right_is_read_once_in_its_time() -> None:
    rig = due()
    assert check(rig) is Fixity.RIGHT
    assert rig.ledger.datablocks(PID)[0].checked_at == rig.clock()
    assert check(rig) is None


def test_a_flipped_bit_has_the_datablock_withdrawn_and_retrieved_again() -> None:
    content = bytearray(tar(FILES))
    content[700] ^= 1
    rig = due(content=bytes(content))
    assert check(rig) is Fixity.WRONG
    assert rig.ledger.datablocks(PID)[0].state is DatablockState.RELEASED
    job = rig.ledger.job(JOB)
    assert job is not None
    assert (job.state, job.attempt) == (JobState.SUBMITTED, 2)


def test_a_file_that_is_gone_is_retrieved_again() -> None:
    rig = due()
    rig.staging.release(rig.ledger.datablocks(PID)[0].key)
    assert check(rig) is Fixity.WRONG


def test_what_is_released_while_it_is_read_is_no_fault() -> None:
    rig = due(content=b"something else")
    (record,) = rig.ledger.datablocks(PID)

    def release() -> bool:
        rig.ledger.withdraw(record.key, "by somebody else")
        return False

    assert fixity.check_next(PACE, rig.tools, cancelled=release) is Fixity.GONE


def test_reading_that_is_cancelled_changes_nothing() -> None:
    rig = due()
    assert check(rig, cancelled=True) is None
    assert check(rig) is Fixity.RIGHT


def test_reading_is_no_faster_than_allowed() -> None:
    rig = due()
    pauses = list[float]()
    fixity.check_next(FixityPace(EVERY, 1000), rig.tools, cancelled=lambda: False, pause=pauses.append)
    assert sum(pauses) == pytest.approx(len(tar(FILES)) / 1000, abs=1.0)


def test_nothing_is_read_where_the_pace_is_nought() -> None:
    assert check(due(), FixityPace(EVERY, 0)) is None
