from __future__ import annotations

import hashlib
import io
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scicat_retriever.storage.staging.s3.part_body import PartBody
from tests.examples import examples

CONTENT = bytes(range(256)) * 20_000
DIGEST = hashlib.sha256(CONTENT).digest()


@settings(max_examples=examples(30, deep=1000))
@given(st.integers(1, 3 * 2**20))
def test_pieces_of_any_size_make_the_part(size: int) -> None:
    body = PartBody(bytearray(CONTENT))
    digest = hashlib.sha256()
    for piece in iter(partial(body.read, size), b""):  # as boto3 reads to sign
        digest.update(piece)
    assert digest.digest() == DIGEST


def test_a_part_that_is_sent_again_begins_anew() -> None:
    body = PartBody(bytearray(CONTENT))
    assert (body.read(10)[:10], body.seek(0), bytes(body.read())) == (CONTENT[:10], 0, CONTENT)
    assert (body.seek(0, io.SEEK_END), body.tell(), bytes(body.read())) == (len(CONTENT), len(CONTENT), b"")


def test_it_fills_buffers() -> None:
    body, buffer = PartBody(bytearray(CONTENT)), bytearray(1000)
    body.seek(len(CONTENT) - 600)
    assert (body.readinto(buffer), bytes(buffer[:600])) == (600, CONTENT[-600:])
    assert body.readinto(buffer) == 0


def test_the_buffer_is_read_in_place_and_free_once_the_body_is_closed() -> None:
    buffer = bytearray(CONTENT)
    body = PartBody(buffer)
    buffer[0] = 7
    with pytest.raises(BufferError):
        buffer.clear()
    assert body.readinto(first := bytearray(1)) == 1
    assert first[0] == 7
    body.close()
    buffer.clear()
