"""A dataset whose flow was lost while no job asked for it any more."""

from scicat_retriever.domain.states import DatablockState
from scicat_retriever.pipeline.reports import abandoned
from tests.unit.pipeline.rig import PID, Rig


def test_scicat_hears_that_it_is_not_retrieved_and_what_its_run_brought_is_deleted() -> None:
    rig = Rig()
    (record,) = rig.plan()
    rig.copy(record)
    assert rig.staging.partial_keys() == {record.key}
    abandoned.clean_up(PID, record.run, rig.tools)
    rig.deliver()
    assert rig.staging.partial_keys() == set()
    assert rig.record(record.key).state is DatablockState.FAILED
    assert "nobody waits" in str(rig.catalogue.held_dataset(PID))


def test_what_a_later_run_brought_stays() -> None:
    rig = Rig()
    (record,) = rig.plan()
    rig.copy(record)
    abandoned.clean_up(PID, "a run before", rig.tools)
    assert rig.staging.partial_keys() == {record.key}
