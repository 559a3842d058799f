"""How to reach SciCat, as the operator configures it."""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Self

from pydantic import AfterValidator, AnyHttpUrl, Field, SecretStr, model_validator

from scicat_retriever.section import BearerToken, Section


def _backend_root(url: AnyHttpUrl) -> AnyHttpUrl:
    if url.username or url.password:
        raise ValueError("must hold no user name or password; use the fields of their own")
    if url.query or url.fragment:
        raise ValueError("must end before any '?' or '#'")
    if "/api/v" in (url.path or ""):
        raise ValueError("must end before /api/v3 or /api/v4")
    return url


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.endswith(".localhost")


class ScicatSettings(Section):
    """SciCat's address and the account that the service uses there: user name and password, or a token."""

    url: Annotated[AnyHttpUrl, AfterValidator(_backend_root)] = Field(
        description="Root of the SciCat backend, without /api/v3, for example https://scicat.example.org."
    )
    username: str | None = Field(
        default=None, min_length=1, description="Name of the functional account, together with `password`."
    )
    password: SecretStr | None = Field(default=None, description="Password of the functional account.")
    token: BearerToken | None = Field(
        default=None,
        min_length=8,
        description="A long-lived SciCat token, instead of user name and password.",
    )
    request_timeout: float = Field(
        default=30.0,
        gt=0,
        le=3600,
        description="Seconds that SciCat may take to accept a connection, and between any two pieces of an answer.",
    )
    answer_timeout: float = Field(
        default=1800.0,
        gt=0,
        le=86400,
        description="Seconds that one whole answer may take, however steadily it comes; a list of datablocks is worked "
        "through while it comes.",
    )
    ca_bundle: Path | None = Field(
        default=None, description="File with the CA certificates to trust; by default those of the system."
    )

    @model_validator(mode="after")
    def _one_way_to_log_in(self) -> Self:
        if (self.token is None) == (self.password is None):
            raise ValueError("set either username and password, or token")
        if (self.password is None) != (self.username is None):
            raise ValueError("username and password belong together")
        return self

    @property
    def can_be_overheard(self) -> bool:
        """Whether requests leave this machine unencrypted."""
        return self.url.scheme == "http" and not _is_loopback(self.url.host or "")

    @property
    def root(self) -> str:
        """The backend's root without a slash at its end; SciCat's paths, which begin with one, follow it."""
        return str(self.url).rstrip("/")
