"""How to reach RabbitMQ, as the operator configures it."""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Self
from urllib.parse import unquote, urlsplit

from pydantic import AfterValidator, Field, SecretStr, model_validator

from scicat_retriever.section import Section

PARKED_SUFFIX = ".parked"
_LONGEST_NAME = 255 - len(PARKED_SUFFIX)
"""Longest name of a queue in bytes: AMQP 0-9-1 takes 255, with the suffix."""


def _amqp_url(url: SecretStr) -> SecretStr:
    try:
        parts = urlsplit(url.get_secret_value())
        complete = bool(parts.hostname and parts.username and parts.password and parts.port != 0)
    except ValueError:
        raise ValueError("cannot be read; percent-encode what is special in user name and password") from None
    if parts.scheme not in {"amqp", "amqps"}:
        raise ValueError("must begin with amqp:// or amqps://")
    if not complete:
        raise ValueError("must name a user, a password and a host: amqp://user:password@host/vhost")
    if parts.query or parts.fragment:
        raise ValueError("must end before any '?' or '#'; percent-encode them in user name and password")
    return url


def _is_this_machine(host: str) -> bool:
    """Say whether a host must be this machine (RFC 6761, section 6.3, for names); nothing is looked up."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


class BrokerSettings(Section):
    """RabbitMQ, to which SciCat publishes jobs; without this section none is asked."""

    url: Annotated[SecretStr, AfterValidator(_amqp_url)] = Field(
        description="`amqp://user:password@host:port/vhost`, or `amqps://` for TLS. Special characters are "
        "percent-encoded, also a slash in the virtual host's name; without a path it is `/`."
    )
    ca_bundle: Path | None = Field(
        default=None, description="File with the CA certificates to trust; by default those of the system."
    )
    exchange: str = Field(
        "jobs.write",
        pattern=r"^[!-~]{1,255}$",
        description="The durable topic exchange that SciCat publishes to: `exchange` of its job action.",
    )
    queue: str = Field(
        "retriever.jobs",
        pattern=rf"^[!-~]{{1,{_LONGEST_NAME}}}$",
        description="The durable queue that is consumed: `queue` of the job action. No program but this service may "
        "consume it. Messages that are no jobs are put into `<queue>.parked`.",
    )
    binding_key: str = Field(
        "jobqueue",
        pattern=r"^[ -~]{0,255}$",
        description="Which messages of the exchange go into the queue: `key` of the job action.",
    )
    prefetch: int = Field(
        20, ge=1, le=1000, description="Messages taken at once: how many may be in memory, not yet stored."
    )
    backoff_initial: float = Field(
        1.0,
        gt=0,
        le=3600,
        description="Pause before the first try to reach the broker, or the ledger, again.",
    )
    backoff_maximum: float = Field(30.0, gt=0, le=3600, description="Longest pause between such tries.")

    @model_validator(mode="after")
    def _names_are_free(self) -> Self:
        if self.queue.startswith("amq."):
            raise ValueError("the name of `queue` must not begin with amq., which RabbitMQ keeps for itself")
        return self

    @property
    def parked_queue(self) -> str:
        """The queue for messages that are no jobs."""
        return self.queue + PARKED_SUFFIX

    @property
    def address(self) -> str:
        """Host, port and virtual host, for messages: without the account."""
        parts = urlsplit(self.url.get_secret_value())
        port = parts.port or (5671 if parts.scheme == "amqps" else 5672)
        return f"{parts.hostname}:{port}, virtual host {self.vhost}"

    @property
    def vhost(self) -> str:
        """The virtual host's name."""
        return unquote(urlsplit(self.url.get_secret_value()).path[1:]) or "/"

    @property
    def readable_on_the_way(self) -> bool:
        """Whether the password and the jobs travel in plain text beyond this machine."""
        return not (self.encrypted or _is_this_machine(urlsplit(self.url.get_secret_value()).hostname or ""))

    @property
    def encrypted(self) -> bool:
        """Whether TLS is spoken."""
        return urlsplit(self.url.get_secret_value()).scheme == "amqps"
