"""Answers of Tape REST servers: those in use, and hostile ones."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scicat_retriever.storage.lts.wlcg.answers import (
    MESSAGE_LIMIT,
    AnswerUnreadable,
    FileInfo,
    Progress,
    api_uri,
    localities_in,
    printable,
    problem_in,
    progress_in,
    request_id,
)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
ENTRIES = st.lists(
    st.fixed_dictionaries(
        {}, optional={"path": JSON, "locality": JSON, "state": JSON, "onDisk": JSON, "error": JSON}
    ),
    max_size=4,
)


def encoded(body: Any) -> bytes:
    return json.dumps(body).encode()


def test_the_endpoint_of_version_1_is_chosen_among_several() -> None:
    endpoints = [
        {"uri": "https://x/api/v0", "version": "v0"},
        {"uri": "https://x/api/v1/", "version": "V1", "metadata": {}},
    ]
    assert api_uri(encoded({"sitename": "x", "endpoints": endpoints})) == "https://x/api/v1"


@pytest.mark.parametrize(
    "body",
    [
        {},
        [],
        None,
        {"endpoints": {}},
        {"endpoints": [{"version": "v1"}]},
        {"endpoints": [{"uri": "https://x", "version": "v2"}]},
    ],
)
def test_discovery_without_a_usable_endpoint_is_unreadable(body: Any) -> None:
    with pytest.raises(AnswerUnreadable):
        api_uri(encoded(body))


def test_a_request_is_called_by_its_request_id() -> None:
    assert request_id(b'{"requestId": "abc"}', "https://x/stage/other") == "abc"


def test_a_request_without_a_body_is_called_by_the_end_of_its_location() -> None:
    assert request_id(b"", "https://x/api/v1/stage/abc/") == "abc"


@pytest.mark.parametrize("name", ["", ".", "..", "a\nb", "x" * 1000])
def test_an_unusable_request_id_is_refused(name: str) -> None:
    with pytest.raises(AnswerUnreadable):
        request_id(encoded({"requestId": name}), "")


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ({"state": "SUBMITTED"}, Progress(True, "SUBMITTED")),
        ({"state": "started", "startedAt": 3}, Progress(True, "STARTED")),
        ({"state": "FAILED", "error": "no tape"}, Progress(False, "FAILED", "no tape")),
        ({"state": "CANCELLED"}, Progress(False, "CANCELLED")),
        ({"state": "CANCELED"}, Progress(False, "CANCELED")),
        ({"onDisk": True}, Progress(False, "COMPLETED", stated=False)),
        ({"onDisk": "true"}, Progress(False, "COMPLETED", stated=False)),
        ({"onDisk": False}, Progress(True, "SUBMITTED", stated=False)),
        ({"onDisk": False, "error": "no tape"}, Progress(False, "FAILED", "no tape", stated=False)),
        ({"state": "RUNNING", "mood": "good"}, Progress(True, "RUNNING")),
    ],
)
def test_progress_is_read_in_both_dialects(entry: dict[str, object], expected: Progress) -> None:
    assert progress_in(encoded({"id": "x", "files": [{"path": "/a"} | entry]})) == {"/a": expected}


@pytest.mark.parametrize(
    ("created_at", "expected"),
    [
        (1668438345, 1668438345.0),
        (1668438345000, 1668438345.0),
        (1668438345.5, 1668438345.5),
        (0, None),
        (-1, None),
        (True, None),
        (10**40, None),
        (float("nan"), None),
        ("1668438345", None),
        (None, None),
    ],
)
def test_when_a_request_was_made_is_read_where_it_can_be(created_at: object, expected: float | None) -> None:
    answer = encoded({"createdAt": created_at, "files": [{"path": "/a", "onDisk": False}]})
    assert progress_in(answer)["/a"].created_at == expected


def test_localities_are_found_by_path_whatever_their_order_and_slashes() -> None:
    answer = [{"path": "//b//c", "error": "no such file"}, {"path": "/a", "locality": "TAPE", "x": 1}]
    assert localities_in(encoded(answer)) == {"/a": FileInfo("TAPE"), "/b/c": FileInfo("", "no such file")}


def test_a_problem_s_title_and_detail_are_told() -> None:
    assert (
        problem_in(b'{"title": "Bad request", "detail": "no files", "status": 400}')
        == "Bad request: no files"
    )


@pytest.mark.parametrize(
    "content", [b"\x00\xff" * 100_000, b'"' + b"a" * 100_000, b'{"title": "\\u001b[2J"}']
)
def test_a_problem_that_is_no_text_is_printable_and_short(content: bytes) -> None:
    told = problem_in(content)
    assert len(told) <= MESSAGE_LIMIT
    assert told.isprintable()


@pytest.mark.parametrize("content", [b"", b"{", b"[" * 100_000, b"\xff\xfe", b'"text"', b"1e999"])
def test_what_is_no_answer_is_unreadable(content: bytes) -> None:
    for read in (progress_in, localities_in, api_uri):
        with pytest.raises(AnswerUnreadable):
            read(content)


@given(ENTRIES)
def test_whatever_entries_hold_localities_are_bounded_text_by_absolute_path(entries: list[Any]) -> None:
    for path, found in localities_in(encoded(entries)).items():
        assert path.startswith("/")
        assert "//" not in path
        assert len(found.locality) <= MESSAGE_LIMIT >= len(found.error)
        assert (found.locality + found.error).isprintable()


@given(ENTRIES)
def test_whatever_entries_hold_progress_has_a_word(entries: list[Any]) -> None:
    for progress in progress_in(encoded({"files": entries})).values():
        assert progress.word.isprintable()
        assert progress.word


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("see https://u:p@x.example.org/a?sig=1&t=2 now", "see https://x.example.org/a now"),
        ("see /a?sig=1", "see /a"),
        ('{"url":"https://x/a?sig=1"}', '{"url":"https://x/a"}'),
        ("what? mail a@x.example.org", "what? mail a@x.example.org"),
    ],
)
def test_foreign_text_is_shown_without_the_secrets_of_its_addresses(text: str, shown: str) -> None:
    assert printable(text) == shown
