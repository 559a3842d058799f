"""Markers as strangers may write them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scicat_retriever.storage.staging.marker import LONGEST, UNREADABLE, MarkerFile, read, written


@given(st.binary(max_size=2 * LONGEST))
def test_any_bytes_are_an_owner_fit_for_a_message(content: bytes) -> None:
    owner = read(content)
    assert owner
    assert owner.isprintable()
    assert len(owner) <= 100


@given(st.uuids())
def test_what_is_written_is_read(identity: object) -> None:
    assert read(written(str(identity))) == str(identity)


@pytest.mark.parametrize(
    "content", [b"", b"{}", b"[]", b'{"ledger": 1}', b'{"ledger": ""}', b'{"ledger": "a\\nb"}', b"[" * 1000]
)
def test_a_marker_that_cannot_be_read_is_somebody_else_s(content: bytes) -> None:
    assert read(content) == UNREADABLE


def test_a_link_is_no_marker(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_bytes(written("ledger-1"))
    (tmp_path / "owner").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="Too many levels"):
        MarkerFile(tmp_path).read()


def test_a_pipe_in_place_of_the_marker_blocks_nobody(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "owner")
    assert MarkerFile(tmp_path).read() == UNREADABLE


def test_nothing_but_the_marker_is_left(tmp_path: Path) -> None:
    marker = MarkerFile(tmp_path)
    for ledger in ("ledger-1", "ledger-2"):
        marker.write(ledger, anew=False)
    marker.write("ledger-3", anew=True)
    assert [each.name for each in tmp_path.iterdir()] == ["owner"]
