from datetime import datetime, timedelta
from typing import Any

import pytest

from scicat_retriever.domain import errors
from scicat_retriever.domain.ids import DatasetPid, JobId
from scicat_retriever.pipeline.reports.result import timestamp
from scicat_retriever.pipeline.staging import eviction, pins
from tests.unit.pipeline.rig import CACHE, JOB, LIFETIME, PID, RETENTION, START, Rig
from tests.unit.pipeline.shown import datablocks_of, page_of

Q = DatasetPid("20.500.12345/q")
OTHER = JobId("another job")
MARGIN = RETENTION - LIFETIME


def told(rig: Rig, job: JobId = JOB) -> dict[str, Any]:
    """The result that SciCat holds, once it has heard all."""
    rig.deliver()
    return dict(rig.catalogue.held_job(job).result or {})


def retrieved(rig: Rig, *pids: DatasetPid) -> None:
    rig.retrieved(*pids)
    told(rig)


def test_an_extended_job_keeps_its_datasets_and_gets_links_that_live_as_long() -> None:
    rig = Rig()
    retrieved(rig, PID)
    until = START + 30 * LIFETIME
    assert pins.extend(JOB, until, MARGIN, rig.ledger) == {PID: until}
    (entry,) = told(rig)["result"]
    assert entry["expires"] == timestamp(until)
    (block,) = datablocks_of(rig)
    assert datetime.fromisoformat(block["expires"]) == until
    ((_, pin),) = rig.ledger.pins.find(PID)
    assert pin.until == until + MARGIN


def test_extending_never_shortens() -> None:
    rig = Rig()
    retrieved(rig, PID)
    assert pins.extend(JOB, START, MARGIN, rig.ledger) == {PID: START + LIFETIME}


def test_a_job_of_which_nothing_is_kept_cannot_be_extended() -> None:
    rig = Rig()
    retrieved(rig, PID)
    rig.clock.advance(RETENTION)
    eviction.sweep(rig.tools)
    with pytest.raises(errors.NothingStaged, match="ask for its datasets again"):
        pins.extend(JOB, rig.clock() + LIFETIME, MARGIN, rig.ledger)


def test_a_job_under_way_is_neither_extended_nor_released() -> None:
    rig = Rig()
    rig.catalogue.add_dataset(PID, ())
    rig.job(PID)
    with pytest.raises(errors.JobNotEnded):
        pins.extend(JOB, START, MARGIN, rig.ledger)
    with pytest.raises(errors.JobNotEnded):
        pins.unpin(JOB, rig.ledger)


def test_an_unknown_job_is_not_extended() -> None:
    with pytest.raises(errors.JobNotFound):
        pins.extend(JOB, START, MARGIN, Rig().ledger)


def test_a_released_job_has_no_links_for_scicat_any_more() -> None:
    rig = Rig()
    retrieved(rig, PID, Q)
    rig.clock.advance(timedelta(hours=1))
    assert pins.unpin(JOB, rig.ledger, PID) == [PID]
    entries = {entry["datasetId"]: entry for entry in told(rig)["result"]}
    assert entries[PID]["expires"] is None
    assert entries[Q]["expires"] is not None
    # The link of its page stays good: it says that it is gone.
    page = rig.links.retrieval(JOB, 0)
    assert [entries[pid]["url"] for pid in (PID, Q)] == [f"{page}/datasets/1", f"{page}/datasets/2"]
    assert [page_of(rig, pid)["state"] for pid in (PID, Q)] == ["gone", "ready"]
    assert (datablocks_of(rig), len(datablocks_of(rig, Q))) == ([], 1)
    message = rig.catalogue.held_job(JOB).message
    assert message is not None
    assert message.startswith("1 of 2 datasets are ready for download until ")
    assert "asked for again" in message


def test_what_one_job_gives_back_another_still_keeps() -> None:
    rig = Rig()
    retrieved(rig, PID)
    rig.retrieved(PID, name=OTHER)
    pins.unpin(JOB, rig.ledger)
    rig.clock.advance(CACHE.spared_time * 2)
    assert eviction.make_room(1, rig.tools) == 0
    told(rig, OTHER)
    pins.unpin(OTHER, rig.ledger)
    assert eviction.make_room(1, rig.tools) > 0


def test_a_link_that_is_told_again_after_a_release_and_an_eviction_is_none() -> None:
    rig = Rig()
    retrieved(rig, PID)
    pins.unpin(JOB, rig.ledger)
    eviction.evict_dataset(PID, rig.tools)
    assert [entry["expires"] for entry in told(rig)["result"]] == [None]
    assert datablocks_of(rig) == []


def test_an_operator_pins_what_is_staged_for_somebody() -> None:
    rig = Rig()
    rig.staged_dataset()
    assert pins.pin(PID, "the school", START + LIFETIME, rig.ledger) == 1
    rig.clock.advance(CACHE.spared_time * 2)
    assert eviction.make_room(1, rig.tools) == 0
    assert pins.unpin("the school", rig.ledger) == [PID]
    assert eviction.make_room(1, rig.tools) > 0


def test_nothing_is_pinned_where_nothing_is_staged() -> None:
    rig = Rig()
    rig.plan()
    with pytest.raises(errors.NothingStaged, match="have it retrieved first"):
        pins.pin(PID, "the school", START + LIFETIME, rig.ledger)


def test_who_pins_nothing_has_nothing_to_release() -> None:
    with pytest.raises(errors.NothingStaged, match="the school pins nothing"):
        pins.unpin("the school", Rig().ledger)
