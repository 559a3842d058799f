import pytest
from hypothesis import given
from hypothesis import strategies as st

from scicat_retriever.domain.errors import NotYetOnline, RecallError, concrete_errors
from scicat_retriever.domain.evidence import DatablockKey
from scicat_retriever.domain.ids import ArchiveId, DatablockId
from scicat_retriever.domain.states import RecallPhase
from scicat_retriever.pipeline.recalls.verdict import APPEARING, refusal, why_not
from scicat_retriever.ports.recalls import RecallRecord
from tests.unit.pipeline.rig import PID, START

ARCHIVE = ArchiveId("a.tar")
OPEN = RecallRecord(
    DatablockKey(PID, DatablockId("b")), "tape", ARCHIVE, 0, 1, "run", "", 0, START, RecallPhase.WAITING
)
recall_errors = st.sampled_from([kind for kind in concrete_errors() if issubclass(kind, RecallError)])


@given(recall_errors)
def test_a_recall_ends_by_the_refusal_alone_that_can_never_be_another(kind: type[RecallError]) -> None:
    change = refusal(OPEN, kind("no"))
    assert (change.phase is RecallPhase.ENDED) is not kind.retryable
    assert (change.key, change.run, change.store, change.reason) == (OPEN.key, "run", "tape", "no")


@pytest.mark.parametrize("kind", APPEARING)
def test_a_store_that_has_no_whole_archive_is_asked_again_and_since_when_is_kept(
    kind: type[RecallError],
) -> None:
    change = refusal(OPEN, kind("there is none"))
    assert (change.phase, change.is_missing) == (None, True)


def test_a_store_that_says_nothing_of_an_archive_has_it_waited_for() -> None:
    assert isinstance(why_not(ARCHIVE, None), NotYetOnline)
