"""Who is let in, and who makes place."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from scicat_retriever.http_api.connections.door import Door
from scicat_retriever.http_api.connections.limits import KEPT_BACK, LimitSettings, shares


@dataclass(eq=False)
class Someone:
    address: str = "a"
    door: Door | None = field(default=None, repr=False)
    closed: bool = False

    def give_way(self) -> None:
        self.closed = True


def test_who_has_waited_longest_makes_place() -> None:
    door = Door(2, 9)
    first, second, third = Someone(), Someone(), Someone()
    assert all(map(door.admit, (first, second, third)))
    assert [each.closed for each in (first, second, third)] == [True, False, False]


def test_who_works_is_never_closed_and_at_the_limit_the_next_one_is_refused() -> None:
    door = Door(1, 9)
    busy, late = Someone(), Someone()
    door.admit(busy)
    door.works(busy)
    assert not door.admit(late)
    assert (busy.closed, len(door)) == (False, 1)
    door.waits(busy)
    assert door.admit(late)
    assert busy.closed


def test_one_address_makes_place_among_its_own() -> None:
    door = Door(9, 1)
    other, mine, next_of_mine = Someone("other"), Someone("mine"), Someone("mine")
    assert all(map(door.admit, (other, mine, next_of_mine)))
    assert (other.closed, mine.closed) == (False, True)


def test_behind_a_proxy_are_many() -> None:
    door = Door(9, 1, ["proxy"])
    several = [Someone("proxy") for _ in range(5)]
    assert all(map(door.admit, several))
    assert not any(each.closed for each in several)


STEPS = st.lists(
    st.tuples(st.sampled_from(["admit", "works", "waits", "leave"]), st.integers(0, 9)), max_size=60
)


@given(STEPS, st.integers(1, 5), st.integers(1, 5))
def test_the_limits_hold_whatever_happens(steps: list[tuple[str, int]], most: int, of_one: int) -> None:
    door = Door(most, of_one)
    inside: set[Someone] = set()
    people = [Someone(address="ab"[number % 2]) for number in range(10)]
    working: set[Someone] = set()
    for what, number in steps:
        who = people[number]
        if what == "admit":
            if who in inside:
                continue
            who.closed = False
            if door.admit(who):
                inside.add(who)
        else:
            getattr(door, what)(who)
            if what == "leave":
                inside.discard(who)
        if what == "works" and who in inside:
            working.add(who)
        elif what in {"waits", "leave"}:
            working.discard(who)
        assert not any(each.closed for each in working)
        inside = {each for each in inside if not each.closed}
        assert len(door) == len(inside) <= most
        assert all(sum(each.address == address for each in inside) <= of_one for address in "ab")


@given(st.integers(16, 2_000_000), st.integers(1, 100_000), st.integers(1, 100_000))
def test_descriptors_are_never_promised_twice(descriptors: int, connections: int, downloads: int) -> None:
    share = shares(LimitSettings(connections=connections, downloads=downloads), descriptors)
    assert share.connections >= 1
    assert share.downloads >= 1
    assert share.connections + share.downloads <= max(2, descriptors - min(KEPT_BACK, descriptors // 2))
    if (
        share.connections >= 8
    ):  # those that are sent, and those that wait, leave half of the connections to others
        assert 2 * share.downloads <= share.connections // 2 + 1


def test_what_is_usual_fits_into_what_machines_usually_allow() -> None:
    share = shares(LimitSettings(), 524_288)
    assert (share.connections, share.downloads) == (5000, 1000)
