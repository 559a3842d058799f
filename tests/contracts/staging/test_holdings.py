"""The inventory: what every staging area promises of the list of its files."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from scicat_retriever.ports.staging_area import Holding
from tests.contracts.staging.rig import CONTENT, KEY, AreaRig, key, stage, write_partial

UNUSUAL = [key("", ""), key("..", ".."), key("a\0b", "/"), key("ä ö", "%2F"), key("x" * 300, "y" * 5000)]


def only(rig: AreaRig) -> Holding:
    (holding,) = rig.area.holdings()
    return holding


def test_an_empty_area_holds_nothing(rig: AreaRig) -> None:
    assert list(rig.area.holdings()) == []


def test_all_that_is_there_is_told_once(rig: AreaRig) -> None:
    staged_tokens = {rig.area.name_of(name): stage(rig.area, name) for name in (KEY, *UNUSUAL)}
    partials = {rig.area.name_of(name): write_partial(rig.area, name).token for name in (KEY, *UNUSUAL)}
    found = [(each.name, each.token, each.staged) for each in rig.area.holdings()]
    assert len(found) == 2 * len(staged_tokens)
    assert set(found) == {
        *((name, token, True) for name, token in staged_tokens.items()),
        *((name, token, False) for name, token in partials.items()),
    }


def test_a_staged_file_is_told_with_its_size_and_time(rig: AreaRig) -> None:
    before = datetime.now(UTC)
    token = stage(rig.area, KEY)
    holding = only(rig)
    assert (holding.name, holding.token, holding.staged) == (rig.area.name_of(KEY), token, True)
    assert holding.size == len(CONTENT)
    assert before - timedelta(seconds=2) <= holding.changed_at <= datetime.now(UTC) + timedelta(seconds=2)


def test_a_sealed_partial_is_told_with_its_size_and_time(rig: AreaRig) -> None:
    before = datetime.now(UTC)
    partial = write_partial(rig.area, KEY)
    holding = only(rig)
    assert (holding.token, holding.staged, holding.size) == (partial.token, False, len(CONTENT))
    assert before - timedelta(seconds=2) <= holding.changed_at <= datetime.now(UTC) + timedelta(seconds=2)


def test_a_partial_that_a_killed_copy_left_is_told_and_can_be_removed(rig: AreaRig) -> None:
    killed = rig.kill_a_copy(KEY)
    holding = only(rig)
    assert (holding.token, holding.staged) == (killed, False)
    rig.area.remove(holding)
    assert list(rig.area.holdings()) == []


def test_a_removed_file_is_gone_and_the_others_are_not(rig: AreaRig) -> None:
    for name in (KEY, key(datablock="10")):
        stage(rig.area, name)
        write_partial(rig.area, name)
    holdings = list(rig.area.holdings())
    while holdings:
        rig.area.remove(holdings.pop())
        left = {(each.name, each.token) for each in rig.area.holdings()}
        assert left == {(each.name, each.token) for each in holdings}


def test_removing_what_is_gone_is_no_error(rig: AreaRig) -> None:
    stage(rig.area, KEY)
    write_partial(rig.area, KEY)
    holdings = list(rig.area.holdings())
    for holding in holdings * 2:
        rig.area.remove(holding)
    assert list(rig.area.holdings()) == []
