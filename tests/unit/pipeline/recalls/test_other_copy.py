from dataclasses import replace

import pytest

from scicat_retriever.domain import errors
from scicat_retriever.domain.errors import RetrieverError
from scicat_retriever.domain.states import DatablockState
from scicat_retriever.pipeline.recalls.other_copy import turn_to_other_copy
from scicat_retriever.pipeline.tools.stores import Stores
from scicat_retriever.pipeline.transfer import publish
from tests.fakes.long_term_store import InMemoryLongTermStore
from tests.unit.pipeline.rig import FILES, Rig, tar


def rig_of_two() -> tuple[Rig, InMemoryLongTermStore]:
    """Give a rig whose store has a second one with copies."""
    rig, vault = Rig(), InMemoryLongTermStore()
    stores = Stores({"lts": rig.store, "vault": vault}, copies={"lts": "vault"})
    rig.tools = replace(rig.tools, stores=stores)
    return rig, vault


def test_a_datablock_that_is_wrong_in_one_store_is_retrieved_from_the_other() -> None:
    rig, vault = rig_of_two()
    (record,) = rig.plan()
    archive_id = record.datablock.archive_id
    vault.put(archive_id, tar(FILES))
    right = tar(FILES)
    rig.store.put(
        archive_id, right.replace(next(iter(FILES.values())), b"?" * len(next(iter(FILES.values()))))
    )
    rig.copy(record)
    with pytest.raises(errors.ChecksumMismatch) as wrong:
        publish.verify_and_stage(rig.record(record.key), rig.tools)
    wrong_one = rig.record(record.key)
    for _ in range(2):  # a step may be repeated
        assert turn_to_other_copy(
            rig.record(record.key), wrong_one.store, wrong.value.code, str(wrong.value), rig.tools
        )
    again = rig.record(record.key)
    assert (again.state, again.store) == (DatablockState.PLANNED, "vault")
    rig.stage(again)
    assert rig.record(record.key).state is DatablockState.STAGED


def test_there_is_no_further_copy_after_the_last() -> None:
    rig, _ = rig_of_two()
    (record,) = rig.plan()
    assert not turn_to_other_copy(replace(record, store="vault"), "vault", "archive_lost", "lost", rig.tools)


@pytest.mark.parametrize(
    "error", [errors.StagingWriteFailed, errors.JobCancelled, errors.ArchiveIdUnsafe, errors.InternalError]
)
def test_another_copy_is_not_read_for_what_the_archive_cannot_help(error: type[RetrieverError]) -> None:
    rig, _ = rig_of_two()
    (record,) = rig.plan()
    assert not turn_to_other_copy(record, "lts", error.code, "no", rig.tools)
    assert rig.record(record.key).store == "lts"
