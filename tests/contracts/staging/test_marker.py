"""The marker of a staging area: whose it is."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from tests.contracts.staging.rig import KEY, AreaRig, stage, staged


def test_an_area_has_no_owner_until_it_is_marked(rig: AreaRig) -> None:
    assert rig.area.owner() is None
    rig.area.mark("ledger-1")
    assert rig.area.owner() == "ledger-1"


def test_a_marker_stays_unless_it_is_to_be_made_anew(rig: AreaRig) -> None:
    rig.area.mark("ledger-1")
    rig.area.mark("ledger-2")
    assert rig.area.owner() == "ledger-1"
    rig.area.mark("ledger-2", anew=True)
    assert rig.area.owner() == "ledger-2"


def test_of_many_that_mark_an_area_at_once_all_see_the_same_owner(rig: AreaRig) -> None:
    def marked(number: int) -> str | None:
        rig.area.mark(f"ledger-{number}")
        return rig.area.owner()

    with ThreadPoolExecutor(8) as threads:
        owners = set(threads.map(marked, range(16)))
    assert owners == {rig.area.owner()}


def test_a_marker_is_no_file_of_the_area_and_survives_what_is_done_to_those(rig: AreaRig) -> None:
    rig.area.mark("ledger-1")
    token = stage(rig.area, KEY)
    assert [each.token for each in rig.area.holdings()] == [token]
    rig.area.prepare()
    assert len(staged(rig.area, KEY, token)) > 0
    for holding in list(rig.area.holdings()):
        rig.area.remove(holding)
    rig.area.delete(KEY)
    assert rig.area.owner() == "ledger-1"


def test_areas_at_one_place_call_it_the_same(rig: AreaRig) -> None:
    assert rig.area.location == rig.area.location
    assert rig.area.location
