"""The HTTP interface, as the operator configures it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, Self

from pydantic import (
    AwareDatetime,
    Field,
    PositiveInt,
    SecretStr,
    field_validator,
    model_validator,
)

from scicat_retriever.domain.foreign_text import is_bearer_token
from scicat_retriever.domain.policy import DAY, Seconds
from scicat_retriever.domain.secret_text import is_placeholder
from scicat_retriever.http_api.connections.limits import LimitSettings
from scicat_retriever.http_api.tokens import OLD_LIST_SCOPES, Scope, Token
from scicat_retriever.section import Section

_USABLE = "must be one word of at least 16 printable ASCII characters, and no example of the documentation"

_WILDCARDS = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - compared, not listened on
"""Addresses that stand for all addresses of a machine, each with the one to reach the machine itself."""


def _usable(token: SecretStr) -> bool:
    text = token.get_secret_value()
    return len(text) >= 16 and is_bearer_token(text) and not is_placeholder(text)


def _in_url(host: str) -> str:
    """Write a host as URLs have it: IPv6 addresses in brackets, a zone's percent sign encoded (RFC 6874)."""
    return f"[{host.replace('%', '%25')}]" if ":" in host else host


class ApiToken(Section):
    """A token that lets somebody in, and what for. Write one section for each."""

    name: str = Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._-]{0,63}$",
        description="Who has it; the log says so of each request. Letters, digits, blanks, dots, hyphens, underscores.",
    )
    token: SecretStr = Field(
        description="The token itself, sent as `Authorization: Bearer <token>`. At least 16 characters."
    )
    scope: tuple[Scope, ...] = Field(
        min_length=1,
        description='What it may, as a list: `"intake"`: post jobs, and read a job by its id, which is what SciCat needs; '
        '`"read"`: read all; `"operate"`: all that the API can do, such as cancel, pin and evict, which is what the '
        "operators' commands need.",
    )
    expires: AwareDatetime | None = Field(
        None, description="When it ends to be valid, with a time zone: `2027-12-31T23:59:59Z`."
    )

    @field_validator("token")
    @classmethod
    def _can_be_sent(cls, token: SecretStr) -> SecretStr:
        if not _usable(token):
            raise ValueError(_USABLE)
        return token


class ApiSettings(Section):
    """The HTTP interface."""

    host: str = Field("127.0.0.1", description="Address to listen on, IPv4 or IPv6 (`::1`).")
    port: int = Field(8080, ge=1, le=65535, description="Port to listen on.")
    public_url: str | None = Field(
        None,
        pattern=r"^https?://[^\s?#]+$",
        description="The URL under which scientists reach the service; download links begin with it. "
        "Without it: http://host:port.",
    )
    token: tuple[ApiToken, ...] = Field(
        description="The tokens that are let in, each with its own section `[[api.token]]`; required, unless `tokens` is set. In the environment: a JSON list "
        "of objects.",
    )
    tokens: tuple[SecretStr, ...] = Field(
        (),
        description="Tokens without a name, as before there was `[[api.token]]`: they have the scopes `intake` and `read`. "
        "What they are used for beyond that is refused, and the log says so.",
    )
    trusted_proxies: tuple[str, ...] = Field(
        ("127.0.0.1", "::1"),
        description="Addresses of the reverse proxies in front of the service. Whom they speak for is read from "
        "`X-Forwarded-For`, and `limits.connections_per_address` does not hold for them.",
    )
    limits: LimitSettings = Field(LimitSettings(), description="How much clients may hold, and for how long.")
    downloads_kept: Seconds = Field(
        400 * DAY,
        description="How long the row of a download is kept: `retriever downloads ls` shows them.",
    )
    max_body_bytes: PositiveInt = Field(32 * 2**20, description="Largest job accepted, bytes.")

    @model_validator(mode="before")
    @classmethod
    def _old_list_is_enough(cls, values: Any) -> Any:  # noqa: ANN401 - whatever the file has there
        return {"token": (), **values} if isinstance(values, dict) and values.get("tokens") else values

    @model_validator(mode="after")
    def _tokens_are_usable(self) -> Self:
        if not all(map(_usable, self.tokens)):
            raise ValueError(f"each of `tokens` {_USABLE}")
        if not self.token and not self.tokens:
            raise ValueError("`token` must name at least one token: nobody could post a job")
        if doubled := self._doubled():
            raise ValueError(
                f"`token` must not have the same name or the same token twice: {', '.join(doubled)}"
            )
        return self

    def _doubled(self) -> list[str]:
        """Give the names of the tokens that share their name, or their secret, with another token."""
        names = Counter(each.name for each in self.all_tokens)
        secrets = Counter(each.secret for each in self.all_tokens)
        found = [each.name for each in self.all_tokens if names[each.name] > 1 or secrets[each.secret] > 1]
        return list(dict.fromkeys(found))

    @model_validator(mode="after")
    def _links_can_be_followed(self) -> Self:
        if self.public_url is None and self.host in _WILDCARDS:
            raise ValueError("`public_url` is needed with this `host`: links cannot begin with it")
        return self

    @property
    def base_url(self) -> str:
        """The URL that links begin with, without a slash at the end."""
        return (self.public_url or f"http://{_in_url(self.host)}:{self.port}").rstrip("/")

    @property
    def local_url(self) -> str:
        """The URL under which this machine reaches the service."""
        return f"http://{_in_url(_WILDCARDS.get(self.host, self.host))}:{self.port}"

    @property
    def all_tokens(self) -> Sequence[Token]:
        """All tokens that are let in, those of the old list last. Holds secrets: never print it."""
        named = [
            Token(each.name, each.token.get_secret_value(), frozenset(each.scope), each.expires)
            for each in self.token
        ]
        old = [
            Token(f"api.tokens, number {number}", each.get_secret_value(), OLD_LIST_SCOPES, of_old_list=True)
            for number, each in enumerate(self.tokens, 1)
        ]
        return [*named, *old]
