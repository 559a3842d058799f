"""Signatures: good ones verify, and nothing that was changed does."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scicat_retriever.pipeline.delivery.signature import ListSigner
from tests.unit.pipeline.delivery.minisign import program_verifies, verifies
from tests.unit.pipeline.rig import START

SIGNER, OTHER = ListSigner("a secret of the tests, long enough"), ListSigner("another secret of the tests")
CONTENT = [b"one line\n", b"another ", b"line\n"]
WHOLE = b"".join(CONTENT)


def signed(content: list[bytes] | None = None, subject: str = "job-1") -> str:
    return SIGNER.sign(iter(CONTENT if content is None else content), "SHA256SUMS", subject, START)


def test_a_key_is_made_of_its_secret_always_the_same() -> None:
    assert ListSigner("a secret of the tests, long enough").public_key == SIGNER.public_key
    assert SIGNER.public_key != OTHER.public_key
    assert not verifies(WHOLE, signed(), OTHER.public_key)


@given(st.lists(st.binary()))
def test_any_content_is_signed_however_it_comes(content: list[bytes]) -> None:
    assert verifies(b"".join(content), signed(content), SIGNER.public_key)


def test_the_trusted_comment_says_what_was_signed_and_when() -> None:
    comment = signed(subject="job ü/datasets/2\n").splitlines()[2]
    its = ("file:SHA256SUMS", "hashed", "job%20%C3%BC/datasets/2%0A")
    assert comment.split("\t") == [f"trusted comment: timestamp:{int(START.timestamp())}", *its]


@given(st.text(st.characters(exclude_categories=()), max_size=3000))
def test_whatever_a_job_is_called_the_file_has_four_lines(subject: str) -> None:
    made = signed(subject=subject)
    assert len(made.splitlines()) == 4
    assert made.isascii()
    assert verifies(WHOLE, made, SIGNER.public_key)


def changed(data: bytes, bit: int) -> bytes:
    at = bit % (8 * len(data))
    return data[: at // 8] + bytes([data[at // 8] ^ 1 << at % 8]) + data[at // 8 + 1 :]


@given(st.integers(min_value=0))
def test_a_changed_bit_of_the_content_is_refused(bit: int) -> None:
    assert not verifies(changed(WHOLE, bit), signed(), SIGNER.public_key)


@given(st.integers(min_value=0), st.sampled_from([1, 2, 3]))
def test_a_changed_bit_of_a_signature_or_of_its_comment_is_refused(bit: int, line: int) -> None:
    lines = signed().split("\n")
    if line == 2:
        begin = len("trusted comment: ")
        comment = changed(lines[2][begin:].encode(), bit).decode("latin-1")
        lines[2] = lines[2][:begin] + comment
    else:
        lines[line] = base64.b64encode(changed(base64.b64decode(lines[line]), bit)).decode()
    assert not verifies(WHOLE, "\n".join(lines), SIGNER.public_key)


@settings(max_examples=5, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(bit=st.integers(min_value=0))
def test_minisign_takes_what_was_signed_and_refuses_what_was_changed(tmp_path: Path, bit: int) -> None:
    (tmp_path / "SHA256SUMS").write_bytes(WHOLE)
    (tmp_path / "SHA256SUMS.minisig").write_text(signed())
    assert program_verifies(tmp_path, "SHA256SUMS", SIGNER.public_key)
    assert not program_verifies(tmp_path, "SHA256SUMS", OTHER.public_key)
    (tmp_path / "SHA256SUMS").write_bytes(changed(WHOLE, bit))
    assert not program_verifies(tmp_path, "SHA256SUMS", SIGNER.public_key)


@pytest.mark.parametrize("subject", ["x" * 5000, "job ü\n\x1b[31m"])
def test_minisign_takes_odd_and_long_comments(tmp_path: Path, subject: str) -> None:
    (tmp_path / "SHA256SUMS").write_bytes(WHOLE)
    (tmp_path / "SHA256SUMS.minisig").write_text(signed(subject=subject))
    assert program_verifies(tmp_path, "SHA256SUMS", SIGNER.public_key)
