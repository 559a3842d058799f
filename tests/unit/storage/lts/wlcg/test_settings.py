"""Which settings of a Tape REST store are accepted, and what follows from them."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest
from pydantic import ValidationError

from scicat_retriever.storage.lts.wlcg.settings import WlcgTapeSettings


def settings(**keys: Any) -> WlcgTapeSettings:
    return WlcgTapeSettings.model_validate(
        {"kind": "wlcg_tape", "url": "https://door.example.org:2880", "root_path": "/raw", **keys}
    )


def test_archives_are_read_below_the_root_at_the_same_address_by_default() -> None:
    assert settings(root_path="/pnfs/a b").reading_root == "https://door.example.org:2880/pnfs/a%20b"


def test_archives_are_read_where_read_url_says() -> None:
    assert settings(read_url="https://dav.example.org/raw/").reading_root == "https://dav.example.org/raw"


def test_the_token_goes_to_the_addresses_that_are_named_and_no_other() -> None:
    named = settings(api_url="https://Tape.example.org/api/v1", token_hosts=["pool1.example.org"]).addresses
    asked = [
        "https://door.example.org:2880/x",
        "https://tape.example.org/x",
        "https://pool1.example.org:24000/x",
    ]
    refused = ["https://door.example.org/x", "https://tape.example.org:8443/x", "https://other.example.org/x"]
    assert [named.takes_token(httpx2.URL(url)) for url in asked + refused] == [True] * 3 + [False] * 3


def test_the_archives_folder_is_never_guessed() -> None:
    with pytest.raises(ValidationError, match="root_path"):
        WlcgTapeSettings.model_validate({"kind": "wlcg_tape", "url": "https://door.example.org"})


@pytest.mark.parametrize(
    "keys",
    [
        {"token": "abc", "token_file": "/token"},
        {"token": "two words"},
        {"key": "/key"},
        {"root_path": "relative"},
        {"root_path": "/a/../b"},
        {"root_path": "//a"},
        {"path_template": "{archive_id.__class__}"},
        {"url": "https://user:secret@door.example.org"},
        {"url": "https://door.example.org/?x=1"},
        {"url": "http://door.example.org", "token": "abc"},
        {"read_url": "http://door.example.org", "token_file": "/token"},
        {"disk_lifetime": 0},
        {"batch": 0},
        {"unknown": 1},
        {"token_hosts": ["*.example.org"]},
        {"token_hosts": ["https://x.example.org/secret"]},
        {"token_hosts": ["http://x.example.org"]},
    ],
)
def test_unusable_settings_are_refused(keys: dict[str, Any]) -> None:
    with pytest.raises(ValidationError) as refusal:
        settings(**keys)
    assert "secret" not in str(refusal.value)


@pytest.mark.parametrize("url", ["http://127.0.0.1:8080", "http://localhost:8080", "http://[::1]:8080"])
def test_a_token_may_go_over_http_to_this_machine(url: str) -> None:
    assert settings(url=url, token="abc").token is not None


def test_a_token_is_not_shown() -> None:
    assert "abcdef" not in repr(settings(token="abcdef"))
