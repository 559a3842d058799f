from typing import Any

import pytest
from pydantic import ValidationError

from scicat_retriever.catalogue.settings import ScicatSettings

ACCOUNT = {"username": "archiveManager", "password": "very-secret-password"}


def settings(**fields: Any) -> ScicatSettings:
    return ScicatSettings.model_validate({"url": "https://scicat.example.org", **fields})


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"username": "a"},
        {"password": "p"},
        {**ACCOUNT, "token": "long-lived"},
        {"username": "a", "token": "long-lived"},
        {**ACCOUNT, "timeout": 3},
        {**ACCOUNT, "request_timeout": 0},
        {"token": "short"},
        {"token": "a token of many words"},
        {"token": "a line\nbreak"},
    ],
)
def test_what_is_contradictory_or_unknown_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        settings(**fields)


@pytest.mark.parametrize(
    "url",
    [
        "https://u:p@scicat.example.org",
        "https://scicat.example.org/api/v3",
        "https://s.org/?a=1",
        "ftp://s.org",
    ],
)
def test_an_address_that_is_no_backend_root_is_refused(url: str) -> None:
    with pytest.raises(ValidationError):
        settings(url=url, **ACCOUNT)


@pytest.mark.parametrize(
    ("url", "root"),
    [
        ("https://scicat.example.org", "https://scicat.example.org"),
        ("https://scicat.example.org/", "https://scicat.example.org"),
        ("http://example.org:3000/scicat/", "http://example.org:3000/scicat"),
    ],
)
def test_the_root_has_no_slash_at_its_end(url: str, root: str) -> None:
    assert settings(url=url, **ACCOUNT).root == root


def test_neither_repr_nor_error_shows_a_secret() -> None:
    shown = repr(settings(**ACCOUNT)) + repr(settings(token="secret-token"))
    with pytest.raises(ValidationError) as refused:
        settings(token="secret token")
    assert "secret" not in (shown + str(refused.value)).replace("SecretStr", "")


def test_every_field_is_described() -> None:
    assert [name for name, field in ScicatSettings.model_fields.items() if not field.description] == []
