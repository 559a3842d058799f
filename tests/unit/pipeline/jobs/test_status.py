import pytest

from scicat_retriever.domain import errors
from scicat_retriever.domain.errors import RetrieverError
from scicat_retriever.domain.states import JobState
from scicat_retriever.pipeline.jobs.status import note_status, saying_why
from tests.unit.pipeline.rig import JOB, PID, Rig


def rig_with_job(state: JobState = JobState.IN_PROGRESS) -> Rig:
    rig = Rig()
    rig.plan()
    rig.submit(PID)
    rig.ledger.jobs.move(JOB, state, "before")
    return rig


def message(rig: Rig) -> str:
    record = rig.ledger.jobs.get(JOB)
    assert record is not None
    return record.message


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (errors.NoSpaceYet("3rd in the line"), "3rd in the line"),
        (errors.StagingNotOurs("it is not mounted"), "it is not mounted"),
        (errors.CatalogueUnavailable("503"), "waiting for SciCat: 503"),
        (errors.CatalogueRefused("400"), "before"),
        (errors.LedgerUnavailable("locked"), "before"),
    ],
)
def test_the_status_says_what_a_job_waits_for_and_nothing_else(error: RetrieverError, said: str) -> None:
    rig = rig_with_job()
    with pytest.raises(type(error)), saying_why(JOB, rig.tools):
        raise error
    assert message(rig) == said


def test_a_job_that_ended_keeps_what_it_ended_with() -> None:
    rig = rig_with_job(JobState.UNSUCCESSFUL)
    note_status(JOB, "late words", rig.tools)
    assert message(rig) == "before"


def test_a_note_of_a_job_that_nobody_knows_is_nothing() -> None:
    note_status(JOB, "words", Rig().tools)


def test_the_same_words_are_noted_once() -> None:
    rig = rig_with_job()
    reports = len(rig.ledger.reports.find())
    note_status(JOB, "before", rig.tools)
    assert len(rig.ledger.reports.find()) == reports
