"""Download links: signed, expiring, for one datablock each.

    <base>/api/v1/downloads/<filename>?dataset=..&datablock=..&expires=<Unix seconds>&signature=<hex>

The signature is HMAC-SHA256 (RFC 2104) over datablock, expiry and filename, so a link cannot be turned into one for another
file or a later time. Whoever has the link may download until it expires: nothing else is asked.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import quote, urlencode

from scicat_retriever.domain.errors import LinkExpired, LinkTampered
from scicat_retriever.domain.evidence import DatablockKey

DOWNLOADS_PATH = "/api/v1/downloads"


@dataclass(frozen=True, slots=True)
class Link:
    """A link and the time (UTC) at which it expires."""

    url: str
    expires: datetime


class LinkSigner:
    """Makes links and checks them.

    Args:
        secret: The key, at least 32 bytes, the same for all that make or check links.
        base_url: What links begin with, without a slash at the end.
    """

    def __init__(self, secret: bytes, base_url: str) -> None:
        self._secret = secret
        self._base_url = base_url

    def link(self, key: DatablockKey, name: str, until: datetime) -> Link:
        """Make a link to a datablock, to be saved under a name; it expires then, or up to a second before."""
        expires = int(until.timestamp())
        query = urlencode(
            {
                "dataset": key.pid,
                "datablock": key.id,
                "expires": expires,
                "signature": self._signature(key, expires, name),
            }
        )
        url = f"{self._base_url}{DOWNLOADS_PATH}/{quote(name, safe='')}?{query}"
        return Link(url, datetime.fromtimestamp(expires, UTC))

    def check(self, key: DatablockKey, name: str, expires: int, signature: str, now: datetime) -> None:
        """Let a valid link pass.

        Raises:
            LinkTampered: The signature is not one of ours.
            LinkExpired: Its time is over.
        """
        if not hmac.compare_digest(self._signature(key, expires, name).encode(), signature.encode()):
            raise LinkTampered("this link is not valid: use it exactly as it was given")
        if now.timestamp() >= expires:
            raise LinkExpired("this link has expired: ask for the dataset again in SciCat")

    def _signature(self, key: DatablockKey, expires: int, name: str) -> str:
        text = json.dumps([key.pid, key.id, expires, name])
        return hmac.new(self._secret, text.encode(), hashlib.sha256).hexdigest()
