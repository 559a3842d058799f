"""What every ledger promises of the news of open recalls."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from scicat_retriever.domain.states import DatablockState
from scicat_retriever.ports.ledger import Ledger
from scicat_retriever.ports.long_term_store import TapePosition
from scicat_retriever.ports.recalls import RecallChange
from tests.contracts.ledger.recall_samples import (
    ALL_NEWS,
    Phase,
    State,
    block,
    change,
    keys_of,
    only,
)
from tests.contracts.ledger.rig import Rig
from tests.contracts.ledger.samples import (
    HOUR,
    START,
    P,
    entries,
    key,
)


def test_all_news_of_a_recall_are_noted_at_once(rig: Rig) -> None:
    ledger = rig.ledger
    ledger.datablocks.plan(P, entries(1), "run-1")
    ledger.recalls.want([key()])
    before = only(ledger)
    noted = rig.clock.advance(HOUR)
    ledger.recalls.change([ALL_NEWS])
    assert only(ledger) == replace(
        before,
        phase=Phase.ASKED,
        request="request-7",
        tape=TapePosition("VB1234", 17),
        asked_at=noted,
        first_asked_at=noted,
        expected_at=START + 5 * HOUR,
        missing_since=noted,
        reason="3rd in the queue",
    )


@pytest.mark.parametrize(
    "news",
    [{"phase": Phase.ASKED}, {"reason": "at last"}, {"is_missing": True}, {"tape": TapePosition("")}],
    ids=str,
)
def test_what_is_not_new_stays(wanted: Ledger, news: dict[str, Any]) -> None:
    wanted.recalls.change([ALL_NEWS])
    before = only(wanted)
    change(wanted, **news)
    stays = {name: value for name, value in news.items() if name != "is_missing"}
    assert only(wanted) == replace(before, **stays)


def test_the_first_times_stay(rig: Rig) -> None:
    ledger = rig.ledger
    ledger.datablocks.plan(P, entries(1), "run-1")
    ledger.recalls.want([key()])
    for phase in (Phase.ASKED, Phase.ONLINE, Phase.ASKED, Phase.ONLINE):
        change(ledger, phase=phase, expected_at=rig.clock() + 5 * HOUR, is_missing=True)
        rig.clock.advance(HOUR)
    found = only(ledger)
    assert (found.asked_at, found.online_at) == (START, START + HOUR)
    assert (found.expected_at, found.missing_since) == (START + 5 * HOUR, START)


def test_a_recall_that_ended_keeps_what_was_noted(wanted: Ledger) -> None:
    wanted.recalls.change([ALL_NEWS])
    before = only(wanted)
    change(wanted, phase=Phase.ENDED)
    assert only(wanted) == replace(before, phase=Phase.ENDED)


def test_a_recall_that_was_online_at_once_was_not_asked_for(wanted: Ledger) -> None:
    change(wanted, phase=Phase.ONLINE)
    assert (only(wanted).asked_at, only(wanted).online_at) == (None, START)


def test_a_recall_that_waits_again_forgets_its_request(wanted: Ledger) -> None:
    wanted.recalls.change([ALL_NEWS])
    before = only(wanted)
    change(wanted, phase=Phase.WAITING)
    assert only(wanted) == replace(before, phase=Phase.WAITING, request="", asked_at=None, expected_at=None)


def test_an_archive_that_is_found_is_missing_no_more(wanted: Ledger) -> None:
    change(wanted, is_missing=True)
    change(wanted, is_missing=False)
    assert only(wanted).missing_since is None


def test_several_changes_of_one_recall_count_in_their_order(wanted: Ledger) -> None:
    first, second = replace(ALL_NEWS, reason="first"), RecallChange(key(), Phase.ONLINE, reason="second")
    wanted.recalls.change([first, second])
    found = only(wanted)
    assert (found.phase, found.request, found.reason) == (Phase.ONLINE, "request-7", "second")


def test_changes_of_recalls_that_are_not_open_change_nothing(wanted: Ledger) -> None:
    wanted.recalls.change([replace(ALL_NEWS, key=key(1)), replace(ALL_NEWS, key=key(9)), ALL_NEWS])
    assert keys_of(wanted.recalls.of_store("lts")) == [key()]
    assert block(wanted, key(1)).reason == ""


@pytest.mark.parametrize("state", [State.RECALLING, State.WAITING_FOR_SPACE])
def test_what_a_recall_waits_for_is_what_its_datablock_waits_for(rig: Rig, state: DatablockState) -> None:
    ledger = rig.ledger
    ledger.datablocks.plan(P, entries(1), "run-1")
    ledger.recalls.want([key()])
    ledger.datablocks.move(key(), state, "before")
    moves = len(rig.transitions())
    change(ledger, reason="waiting for tape VB1234")
    assert (block(ledger).state, block(ledger).reason) == (state, "waiting for tape VB1234")
    assert len(rig.transitions()) == moves


def test_what_a_recall_waits_for_is_no_news_of_a_datablock_that_is_being_copied(wanted: Ledger) -> None:
    wanted.datablocks.move(key(), State.COPYING, "copying")
    change(wanted, reason="late")
    assert (only(wanted).reason, block(wanted).reason) == ("late", "copying")


def test_what_a_recall_waits_for_is_no_news_of_a_datablock_that_wants_another_one(wanted: Ledger) -> None:
    wanted.datablocks.plan(P, entries(3), "run-2")
    wanted.datablocks.move(key(), State.RECALLING, "of the new run")
    change(wanted, reason="of the old run")
    assert block(wanted).reason == "of the new run"


def test_a_change_that_gives_no_reason_leaves_that_of_the_datablock(wanted: Ledger) -> None:
    wanted.datablocks.move(key(), State.RECALLING, "stays")
    change(wanted, phase=Phase.ASKED)
    assert block(wanted).reason == "stays"


def test_a_datablock_that_is_recalled_again_waits_for_what_its_recall_waits_for(wanted: Ledger) -> None:
    change(wanted, reason="waiting for tape VB1234")
    wanted.datablocks.move(key(), State.WAITING_FOR_SPACE, "no space")
    wanted.recalls.want([key()])
    assert (block(wanted).state, block(wanted).reason) == (State.RECALLING, "waiting for tape VB1234")
