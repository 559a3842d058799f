import math
from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from scicat_retriever.recall_planner.rates import Shares
from scicat_retriever.recall_planner.turns import Lane, Turns

Thing = tuple[int, str, float]
"""Priority, owner group, and since when it waits."""
things = st.lists(
    st.tuples(st.integers(-2, 2), st.sampled_from("abc"), st.floats(0, 1e6)), unique=True, max_size=12
)


def lane(thing: Thing) -> Lane:
    return thing[0], frozenset(thing[1])


def age(thing: Thing) -> float:
    return thing[2]


def taken(all_: Sequence[Thing], foreseen: int) -> list[Thing]:
    return list(Turns(all_, lane, age, Shares({}, math.inf), foreseen))


@given(things, st.integers(0, 12))
def test_each_thing_has_one_turn_however_many_are_foreseen(all_: list[Thing], foreseen: int) -> None:
    assert sorted(taken(all_, foreseen)) == sorted(all_)


@given(things, st.integers(0, 12))
def test_turns_behind_those_that_are_foreseen_go_by_priority_and_age(
    all_: list[Thing], foreseen: int
) -> None:
    far = taken(all_, foreseen)[foreseen:]
    assert far == sorted(far, key=lambda thing: (-thing[0], thing[2]))


@given(things, st.integers(0, 12))
def test_a_larger_priority_is_never_behind_a_smaller_one(all_: list[Thing], foreseen: int) -> None:
    priorities = [thing[0] for thing in taken(all_, foreseen)]
    assert priorities == sorted(priorities, reverse=True)
