"""Paths and patches: rules with many cases that no recording covers."""

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stand_ins.scicat.answers import Answer
from stand_ins.scicat.call import Call
from stand_ins.scicat.lifecycle import merge_patch
from stand_ins.scicat.routing import Route, Router

PIDS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=3),
    max_leaves=8,
)


async def answer(_call: Call) -> Answer:
    """Answer nothing in particular."""
    return Answer(200)


ROUTER = Router([Route("GET", "{version}/datasets/{pid}", answer)])


@given(pid=PIDS)
def test_a_pid_encoded_once_is_found_whatever_is_in_it(pid: str) -> None:
    found = ROUTER.find("GET", f"/api/v4/datasets/{quote(pid, safe='')}")
    assert found is not None
    assert found[1]["pid"] == pid


@given(pid=PIDS)
def test_a_pid_encoded_twice_is_another_pid(pid: str) -> None:
    found = ROUTER.find("GET", f"/api/v4/datasets/{quote(quote(pid, safe=''), safe='')}")
    assert found is not None
    assert found[1]["pid"] == quote(pid, safe="")


@pytest.mark.parametrize(
    "path", ["/api/v5/datasets/x", "/api/v4/datasets/a/b", "/api/v4/datasets", "/v4/datasets/x", ""]
)
def test_other_paths_are_not_found(path: str) -> None:
    assert ROUTER.find("GET", path) is None


@pytest.mark.parametrize("path", ["/api/v4/Datasets/x", "/api/v3/datasets/x/"])
def test_case_and_a_trailing_slash_do_not_matter(path: str) -> None:
    assert ROUTER.find("GET", path) is not None


@pytest.mark.parametrize(
    ("target", "patch", "merged"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        (["a", "b"], ["c", "d"], ["c", "d"]),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_merges_as_the_examples_of_rfc_7396(target: object, patch: object, merged: object) -> None:
    assert merge_patch(target, patch) == merged


@given(target=JSON, patch=JSON)
def test_merging_a_patch_twice_is_merging_it_once(target: object, patch: object) -> None:
    once = merge_patch(target, patch)
    assert merge_patch(once, patch) == once
