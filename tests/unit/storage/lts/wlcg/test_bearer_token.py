"""The token of the settings, or of a file that is renewed."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import SecretStr

from scicat_retriever.domain.errors import StoreRefusesAccount
from scicat_retriever.storage.lts.wlcg.bearer_token import BearerToken


def test_a_token_of_the_settings_is_used_as_it_is() -> None:
    assert BearerToken(SecretStr("abc"), None).current() == "abc"


def test_without_a_token_there_is_none() -> None:
    assert BearerToken(None, None).current() is None


def test_a_token_file_is_read_without_the_line_s_end(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("abc\n")
    assert BearerToken(None, file).current() == "abc"


def test_a_renewed_token_file_is_read_anew(tmp_path: Path) -> None:
    file, renewed = tmp_path / "token", tmp_path / "renewed"
    file.write_text("first")
    token = BearerToken(None, file)
    assert token.current() == "first"
    renewed.write_text("other")
    renewed.replace(file)
    assert token.current() == "other"


@pytest.mark.parametrize("content", [b"", b"two words", b"a\nb", b"\xff\xfe", b"a" * 100_000])
def test_a_file_without_a_token_is_refused_and_its_content_not_told(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "token"
    file.write_bytes(content)
    with pytest.raises(StoreRefusesAccount) as refusal:
        BearerToken(None, file).current()
    assert "two words" not in str(refusal.value)


def test_an_absent_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreRefusesAccount, match="absent"):
        BearerToken(None, tmp_path / "absent").current()


def test_it_does_not_show_itself() -> None:
    assert "abc" not in repr(BearerToken(SecretStr("abc"), None))


def test_a_token_and_the_one_before_are_blanked(tmp_path: Path) -> None:
    file, renewed = tmp_path / "token", tmp_path / "renewed"
    file.write_text("first")
    token = BearerToken(None, file)
    token.current()
    renewed.write_text("other")
    renewed.replace(file)
    token.current()
    assert token.blanked(b"first, other, third") == b"***, ***, third"
