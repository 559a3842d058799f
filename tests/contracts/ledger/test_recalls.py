"""What every ledger promises of open recalls: when they are wanted, kept, begun anew and forgotten."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from scicat_retriever.domain.errors import TransitionIllegal
from scicat_retriever.domain.evidence import DatablockKey
from scicat_retriever.domain.ids import ArchiveId, DatablockId, DatasetPid, JobId
from scicat_retriever.domain.states import DatablockState, DatasetState, RecallPhase
from scicat_retriever.ledger.sql import SqlLedger
from scicat_retriever.ports.ledger import Ledger
from scicat_retriever.ports.long_term_store import TapePosition
from scicat_retriever.ports.needs import DatasetWait
from scicat_retriever.ports.recalls import RecallChange, RecallRecord
from tests.contracts.ledger.recall_samples import (
    ALL_NEWS,
    OTHER_JOB,
    RECALLABLE,
    Phase,
    State,
    block,
    change,
    keys_of,
    only,
    start,
)
from tests.contracts.ledger.rig import Rig
from tests.contracts.ledger.samples import (
    FLOW,
    HOUR,
    JOB,
    ODD,
    START,
    P,
    Q,
    bring_to,
    end,
    entries,
    entry,
    job,
    key,
)


def states(ledger: Ledger) -> list[DatablockState]:
    return [record.state for record in ledger.datablocks.of(P)]


def test_a_recall_that_is_wanted_is_open_with_all_that_the_planner_has_to_know(rig: Rig) -> None:
    ledger = rig.ledger
    ledger.datablocks.plan(P, entries(2), "run-1", "mirror")
    start(ledger, JOB, "p17", P)
    rig.clock.advance(HOUR)
    ledger.recalls.want([key(1)])
    expected = RecallRecord(
        key(1),
        "mirror",
        ArchiveId("archive-1.tar"),
        position=1,
        bytes=1000,
        run="run-1",
        group="p17",
        priority=0,
        wanted_at=START + HOUR,
        phase=Phase.WAITING,
    )
    assert ledger.recalls.of_store("mirror") == ledger.recalls.of_dataset(P) == [expected]
    assert ledger.recalls.of_store("lts") == []


def test_words_of_any_kind_come_back_as_they_were(ledger: Ledger) -> None:
    pid, odd = DatasetPid(f"p {ODD}"), "store " + ODD
    ledger.datablocks.plan(pid, [entry(0, pid, archive_id="a " + ODD)], "run " + ODD, odd)
    start(ledger, JOB, "group " + ODD, pid)
    ledger.recalls.want([key(0, pid)])
    news = RecallChange(
        key(0, pid), request="r " + ODD, tape=TapePosition("t " + ODD), reason="because " + ODD
    )
    ledger.recalls.change([news])
    found = only(ledger, odd)
    assert (found.key, found.archive_id, found.run) == (key(0, pid), "a " + ODD, "run " + ODD)
    assert (found.group, found.request, found.tape) == ("group " + ODD, news.request, news.tape)
    assert (found.reason, found.is_wanted) == (news.reason, True)
    assert ledger.recalls.lead(odd, ODD, HOUR)


@pytest.mark.parametrize("state", RECALLABLE)
def test_a_datablock_that_is_wanted_becomes_recalling(planned: Ledger, state: DatablockState) -> None:
    bring_to(planned, key(), state)
    planned.recalls.want([key()])
    assert (block(planned).state, block(planned).bytes_done) == (State.RECALLING, 0)
    assert planned.copies.get(key()) is None


def test_that_a_datablock_became_recalling_is_in_the_book_once(rig: Rig) -> None:
    rig.ledger.datablocks.plan(P, entries(1), "run-1")
    rig.ledger.recalls.want([key(), key()])
    rig.ledger.recalls.want([key()])
    assert [t.new for t in rig.transitions()] == [State.PLANNED, State.RECALLING]


@pytest.mark.parametrize("state", [State.STAGED, State.FAILED, State.RELEASED])
def test_nothing_is_wanted_where_one_cannot_be_recalled(planned: Ledger, state: DatablockState) -> None:
    bring_to(planned, key(1), state)
    with pytest.raises(TransitionIllegal):
        planned.recalls.want([key(0), key(1)])
    assert states(planned)[:2] == [State.PLANNED, state]
    assert planned.recalls.of_store("lts") == []


def test_nothing_is_wanted_where_one_is_not_known(planned: Ledger) -> None:
    with pytest.raises(TransitionIllegal):
        planned.recalls.want([key(0), key(9)])
    assert states(planned)[0] is State.PLANNED
    assert planned.recalls.of_store("lts") == []


def test_a_recall_that_is_wanted_again_is_kept(rig: Rig) -> None:
    ledger = rig.ledger
    ledger.datablocks.plan(P, entries(1), "run-1")
    ledger.recalls.want([key()])
    ledger.recalls.change([ALL_NEWS])
    before = only(ledger)
    rig.clock.advance(HOUR)
    ledger.recalls.want([key()])
    assert only(ledger) == before
    assert block(ledger).reason == "3rd in the queue"


@pytest.mark.parametrize("phase", [Phase.ONLINE, Phase.ENDED])
def test_a_recall_that_was_online_or_ended_and_is_wanted_again_waits_for_its_turn(
    rig: Rig, phase: RecallPhase
) -> None:
    ledger = rig.ledger
    ledger.datablocks.plan(P, entries(1), "run-1")
    ledger.recalls.want([key()])
    ledger.recalls.change([ALL_NEWS])
    change(ledger, phase=phase)
    before = only(ledger)
    rig.clock.advance(HOUR)
    ledger.recalls.want([key()])
    assert only(ledger) == replace(
        before, phase=Phase.WAITING, request="", asked_at=None, online_at=None, expected_at=None
    )


def test_what_the_store_was_asked_for_by_an_earlier_run_stays_asked_for(rig: Rig) -> None:
    ledger = rig.ledger
    ledger.datablocks.plan(P, entries(1), "run-1")
    ledger.recalls.want([key()])
    ledger.recalls.change([ALL_NEWS])
    ledger.datablocks.plan(P, entries(1), "run-2")
    rig.clock.advance(HOUR)
    ledger.recalls.want([key()])
    found = only(ledger)
    assert (found.run, found.wanted_at, found.missing_since) == ("run-2", START + HOUR, None)
    assert (found.phase, found.request, found.tape) == (ALL_NEWS.phase, ALL_NEWS.request, ALL_NEWS.tape)


def test_a_recall_from_another_store_begins_anew(wanted: Ledger) -> None:
    wanted.recalls.change([ALL_NEWS])
    wanted.datablocks.read_from(key(), "mirror", "lost on tape")
    wanted.recalls.want([key()])
    assert wanted.recalls.of_store("lts") == []
    assert (only(wanted, "mirror").phase, only(wanted, "mirror").request) == (Phase.WAITING, "")


def test_a_recall_of_another_archive_begins_anew(wanted: Ledger) -> None:
    wanted.recalls.change([ALL_NEWS])
    wanted.datablocks.plan(P, [entry(0, archive_id="moved.tar")], "run-1")
    wanted.recalls.want([key()])
    assert (only(wanted).archive_id, only(wanted).request) == ("moved.tar", "")


def test_a_recall_is_of_the_group_of_the_oldest_job_that_waits(planned: Ledger) -> None:
    planned.jobs.add(job("not started for it", P), FLOW)
    start(planned, JobId("ended"), "ended", P)
    end(planned, JobId("ended"))
    start(planned, JOB, "oldest", P)
    start(planned, OTHER_JOB, "newer", P)
    planned.recalls.want([key()])
    assert only(planned).group == "oldest"


def test_a_recall_of_a_job_whose_group_is_not_known_has_none(planned: Ledger) -> None:
    start(planned, JOB, None, P)
    planned.recalls.want([key()])
    assert only(planned).group == ""


def test_a_recall_has_the_highest_priority_of_the_jobs_that_wait(planned: Ledger) -> None:
    start(planned, JOB, "p17", P)
    start(planned, OTHER_JOB, "p18", P)
    start(planned, JobId("for another dataset"), "p18", Q)
    planned.recalls.set_priority(JOB, 2)
    planned.recalls.set_priority(OTHER_JOB, 5)
    planned.recalls.set_priority(JobId("for another dataset"), 9)
    planned.recalls.want([key()])
    assert (only(planned).group, only(planned).priority) == ("p17", 5)


def test_a_recall_that_is_wanted_again_is_of_those_who_wait_now(wanted: Ledger) -> None:
    start(wanted, JOB, "p17", P)
    wanted.recalls.set_priority(JOB, 3)
    wanted.recalls.want([key()])
    assert (only(wanted).group, only(wanted).priority) == ("p17", 3)


def test_recalls_come_in_the_order_in_which_they_were_wanted(rig: Rig) -> None:
    ledger = rig.ledger
    for pid in (P, Q):
        ledger.datablocks.plan(pid, entries(3, pid), "run-1")
    ledger.recalls.want([key(2, Q), key(1)])
    rig.clock.advance(HOUR)
    ledger.recalls.want([key(1, Q), key(2), key(0)])
    assert keys_of(ledger.recalls.of_store("lts")) == [key(1), key(2, Q), key(0), key(2), key(1, Q)]


def test_recalls_of_a_dataset_come_in_the_order_of_its_datablocks(rig: Rig) -> None:
    ledger = rig.ledger
    for pid in (P, Q):
        ledger.datablocks.plan(pid, entries(3, pid), "run-1")
    ledger.recalls.want([key(2), key(0, Q)])
    rig.clock.advance(HOUR)
    ledger.recalls.want([key(0), key(1)])
    assert keys_of(ledger.recalls.of_dataset(P)) == [key(0), key(1), key(2)]


def test_a_dataset_that_is_started_waits_for_what_its_first_datablocks_wait_for(ledger: Ledger) -> None:
    for pid in (P, Q):
        ledger.datablocks.plan(pid, entries(4, pid), "run-1")
        ledger.recalls.want([key(number, pid) for number in (3, 1, 2)])
    start(ledger, JOB, "p17", P)
    assert ledger.needs.waits(JOB) == {}
    change(ledger, key(1), reason="waiting for tape B")
    for number in (2, 3):
        change(ledger, key(number), reason="waiting for tape A")
    assert ledger.needs.waits(JOB) == {P: DatasetWait("waiting for tape B", 3)}
    bring_to(ledger, key(1), State.COPYING)
    assert ledger.needs.waits(JOB) == {P: DatasetWait("waiting for tape A", 2)}
    ledger.jobs.move_dataset(JOB, P, DatasetState.FAILED)
    assert ledger.needs.waits(JOB) == ledger.needs.waits(OTHER_JOB) == {}


@pytest.mark.parametrize("state", list(State))
def test_a_recall_is_wanted_while_its_datablock_is_on_its_way(wanted: Ledger, state: DatablockState) -> None:
    if state is State.FAILED or state is State.WAITING_FOR_SPACE or state is State.PLANNED:
        wanted.datablocks.move(key(), state)
    else:
        bring_to(wanted, key(), state)
    is_wanted = state in {State.RECALLING, State.WAITING_FOR_SPACE, State.COPYING}
    assert only(wanted).is_wanted is is_wanted
    assert len(wanted.recalls.of_dataset(P)) == is_wanted


def test_a_recall_of_an_earlier_run_is_not_wanted(wanted: Ledger) -> None:
    wanted.datablocks.plan(P, entries(3), "run-2")
    wanted.datablocks.move(key(), State.RECALLING)
    assert not only(wanted).is_wanted


def test_a_recall_from_a_store_that_is_not_read_any_more_is_not_wanted(wanted: Ledger) -> None:
    wanted.datablocks.read_from(key(), "mirror", "")
    wanted.datablocks.move(key(), State.RECALLING)
    assert not only(wanted, "lts").is_wanted


def test_a_recall_of_a_datablock_that_the_catalogue_lists_no_more_is_not_wanted(wanted: Ledger) -> None:
    wanted.datablocks.plan(P, [entry(1)], "run-1")
    assert not only(wanted).is_wanted


def test_recalls_that_are_not_wanted_are_forgotten_and_others_stay(planned: Ledger) -> None:
    planned.recalls.want([key(0), key(1), key(2)])
    planned.datablocks.move(key(1), State.FAILED)
    planned.recalls.forget(planned.recalls.of_store("lts"))
    assert keys_of(planned.recalls.of_store("lts")) == [key(0), key(2)]


def test_a_recall_that_is_wanted_again_is_not_forgotten(wanted: Ledger) -> None:
    wanted.datablocks.move(key(), State.PLANNED)
    told = wanted.recalls.of_store("lts")
    wanted.recalls.want([key()])
    wanted.recalls.forget(told)
    assert only(wanted).is_wanted


@pytest.mark.parametrize("other", [{"run": "run-0"}, {"request": "another"}, {"store": "mirror"}], ids=str)
def test_a_recall_that_the_store_was_not_told_of_is_not_forgotten(
    wanted: Ledger, other: dict[str, str]
) -> None:
    wanted.recalls.change([ALL_NEWS])
    wanted.datablocks.move(key(), State.FAILED)
    wanted.recalls.forget([replace(only(wanted), **other)])  # type: ignore[arg-type]
    assert len(wanted.recalls.of_store("lts")) == 1


def test_forgetting_a_recall_that_is_not_open_changes_nothing(wanted: Ledger) -> None:
    told = replace(only(wanted), key=key(9))
    wanted.recalls.forget([told])
    assert len(wanted.recalls.of_store("lts")) == 1


def test_open_recalls_are_counted_by_store_and_phase(planned: Ledger) -> None:
    assert planned.recalls.counts() == {}
    planned.datablocks.plan(Q, entries(1, Q), "run-1", "mirror")
    planned.recalls.want([key(0), key(1), key(2), key(0, Q)])
    change(planned, key(1), phase=Phase.ASKED)
    planned.datablocks.move(key(2), State.FAILED)
    assert planned.recalls.counts() == {
        "lts": {Phase.WAITING: 2, Phase.ASKED: 1},
        "mirror": {Phase.WAITING: 1},
    }


def test_thousands_of_recalls_are_wanted_changed_and_forgotten_at_once(ledger: Ledger) -> None:
    pids = [DatasetPid(f"p{number:02}") for number in range(30)]
    for pid in pids:
        ledger.datablocks.plan(pid, entries(40, pid), "run-1")
    blocks = [DatablockKey(pid, DatablockId(f"block-{n}")) for pid in pids for n in range(40)]
    ledger.recalls.want(blocks)
    ledger.recalls.change([RecallChange(each, Phase.ASKED, reason=each.id) for each in blocks])
    found = ledger.recalls.of_store("lts")
    assert keys_of(found) == blocks
    assert {each.phase for each in found} == {Phase.ASKED}
    assert [each.reason for each in ledger.datablocks.of(pids[7])] == [f"block-{n}" for n in range(40)]
    for pid in pids:
        ledger.datablocks.plan(pid, [], "run-1")
    ledger.recalls.forget(ledger.recalls.of_store("lts"))
    assert ledger.recalls.of_store("lts") == []


def test_what_is_recalled_is_still_there_when_the_ledger_is_opened_again(
    url: str, sql_ledger: SqlLedger
) -> None:
    sql_ledger.datablocks.plan(P, entries(1), "run-1")
    sql_ledger.recalls.want([key()])
    sql_ledger.recalls.change([ALL_NEWS])
    again = SqlLedger.at(url, lambda: START + timedelta(minutes=1))
    assert again.recalls.of_store("lts") == sql_ledger.recalls.of_store("lts")
    again.close()
