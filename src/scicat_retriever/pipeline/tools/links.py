"""Links: the one of a retrieval, and those of single datablocks.

    <base>/retrievals/<job id>.<serial>-<key id>.<hex>

is the page of a job's retrieval, and all that belongs to it is below that path. The signature is over the job
and the serial, which the ledger counts up when the job's links are revoked. Nothing in it expires: it is good
as long as the job's datasets are kept.

    <base>/api/v1/downloads/<filename>?dataset=..&datablock=..&expires=<Unix seconds>&signature=<key id>.<hex>

is the file of one datablock. The signature is over datablock, expiry and filename, so a link cannot be turned
into one for another file or a later time.

Signatures are HMAC-SHA256 (RFC 2104). The key id says which key made it, so that keys can be changed while
links are out; datablock links of former versions have none. Whoever has a link may download: nothing else is
asked.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import quote, urlencode

from scicat_retriever.domain.errors import LinkExpired, LinkTampered
from scicat_retriever.domain.evidence import DatablockKey
from scicat_retriever.domain.ids import JobId

DOWNLOADS_PATH = "/api/v1/downloads"
RETRIEVALS_PATH = "/retrievals"
_NOT_OURS = "this link is not valid: use it exactly as it was given"
_TICKET = re.compile(
    r"(?P<job>.+)\.(?P<serial>0|[1-9][0-9]{0,8})-(?P<key>[0-9a-f]{8})\.(?P<digest>[0-9a-f]{64})", re.DOTALL
)


@dataclass(frozen=True, slots=True)
class Link:
    """A link and the time (UTC) at which it expires."""

    url: str
    expires: datetime


@dataclass(frozen=True, slots=True)
class Ticket:
    """The part of a retrieval's link that says what it is for.

    Attributes:
        job_id: The job.
        serial: How often the job's links had been revoked when it was made.
        id: Eight hexadecimal digits that tell links apart in a log; nobody can make the link of them.
    """

    job_id: JobId
    serial: int
    id: str


class LinkSigner:
    """Makes links and checks them.

    Args:
        keys: At least 32 bytes each, the same for all that make or check links. The first signs, all are
            believed.
        base_url: What links begin with, without a slash at the end.
    """

    def __init__(self, keys: Sequence[bytes], base_url: str) -> None:
        self._keys = {_key_id(key): key for key in reversed(keys)}
        self._signing = _key_id(keys[0])
        self.base_url = base_url

    def link(self, key: DatablockKey, name: str, until: datetime) -> Link:
        """Make a link to a datablock, to be saved under a name; it expires then, or up to a second before."""
        expires = int(until.timestamp())
        query = urlencode(
            {
                "dataset": key.pid,
                "datablock": key.id,
                "expires": expires,
                "signature": self._sign([key.pid, key.id, expires, name]),
            }
        )
        url = f"{self.base_url}{DOWNLOADS_PATH}/{quote(name, safe='')}?{query}"
        return Link(url, datetime.fromtimestamp(expires, UTC))

    def check(self, key: DatablockKey, name: str, expires: int, signature: str, now: datetime) -> None:
        """Let a valid link pass.

        Raises:
            LinkTampered: The signature is not one of ours.
            LinkExpired: Its time is over.
        """
        key_id, _, digest = signature.rpartition(".")
        self._require(key_id, digest, [key.pid, key.id, expires, name])
        if now.timestamp() >= expires:
            raise LinkExpired("this link has expired: ask for the dataset again in SciCat")

    def retrieval(self, job_id: JobId, serial: int) -> str:
        """Make the link of a job's retrieval, without a slash at the end.

        Args:
            job_id: The job.
            serial: As `ports.links.Links.serial` gives it.
        """
        ticket = f"{job_id}.{serial}-{self._sign(_of_retrieval(job_id, serial))}"
        return f"{self.base_url}{RETRIEVALS_PATH}/{quote(ticket, safe='')}"

    def ticket(self, text: str) -> Ticket:
        """Read the part of a retrieval's link that follows on `RETRIEVALS_PATH`, unquoted.

        Whether it was revoked, or its time is over, the ledger knows.

        Raises:
            LinkTampered: The signature is not one of ours.
        """
        parts = _TICKET.fullmatch(text)
        if parts is None:
            raise LinkTampered(_NOT_OURS)
        job_id, serial = JobId(parts["job"]), int(parts["serial"])
        self._require(parts["key"], parts["digest"], _of_retrieval(job_id, serial))
        return Ticket(job_id, serial, hashlib.sha256(text.encode()).hexdigest()[:8])

    def _sign(self, told: Sequence[str | int]) -> str:
        return f"{self._signing}.{_signature(self._keys[self._signing], told)}"

    def _require(self, key_id: str, digest: str, told: Sequence[str | int]) -> None:
        named = [self._keys[key_id]] if key_id in self._keys else []
        able = named if key_id else self._keys.values()
        right = (_signature(each, told).encode() for each in able)
        if not any(hmac.compare_digest(each, digest.encode()) for each in right):
            raise LinkTampered(_NOT_OURS)


def _key_id(key: bytes) -> str:
    """Name a key; nothing of the key can be told from it."""
    return hmac.new(key, b"the id of a key that signs links", hashlib.sha256).hexdigest()[:8]


def _of_retrieval(job_id: JobId, serial: int) -> Sequence[str | int]:
    # Longer or shorter than what is signed of a datablock, so that neither can be taken for the other.
    return ["retrieval", job_id, serial]


def _signature(secret: bytes, told: Sequence[str | int]) -> str:
    return hmac.new(secret, json.dumps(list(told)).encode(), hashlib.sha256).hexdigest()
