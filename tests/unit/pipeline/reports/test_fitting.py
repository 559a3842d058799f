import json

from hypothesis import given
from hypothesis import strategies as st

from scicat_retriever.pipeline.reports.fitting import first_that_fit

lists = st.lists(st.dictionaries(st.text(max_size=5), st.text(max_size=20), max_size=3), max_size=8)


@given(lists, st.integers(0, 300))
def test_what_is_given_is_the_beginning_and_fits(entries: list[dict[str, str]], room: int) -> None:
    kept = first_that_fit(entries, room)
    assert kept == entries[: len(kept)]
    assert not kept or len(json.dumps(kept)) <= room


@given(lists, st.integers(0, 300))
def test_nothing_is_left_out_for_which_there_is_room(entries: list[dict[str, str]], room: int) -> None:
    kept = first_that_fit(entries, room)
    assert len(kept) == len(entries) or len(json.dumps(entries[: len(kept) + 1])) > room
