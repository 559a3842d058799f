"""Download links: signed, expiring, for one datablock each.

    <base>/api/v1/downloads/<filename>?dataset=..&datablock=..&expires=<Unix seconds>&signature=<key id>.<hex>

The signature is HMAC-SHA256 (RFC 2104) over datablock, expiry and filename, so a link cannot be turned into
one for another file or a later time. The key id says which key made it, so that keys can be changed while
links are out; links of former versions have none. Whoever has the link may download until it expires: nothing
else is asked.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Sequence
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
        keys: At least 32 bytes each, the same for all that make or check links. The first signs, all are
            believed.
        base_url: What links begin with, without a slash at the end.
    """

    def __init__(self, keys: Sequence[bytes], base_url: str) -> None:
        self._keys = {_key_id(key): key for key in reversed(keys)}
        self._signing = _key_id(keys[0])
        self._base_url = base_url

    def link(self, key: DatablockKey, name: str, until: datetime) -> Link:
        """Make a link to a datablock, to be saved under a name; it expires then, or up to a second before."""
        expires = int(until.timestamp())
        query = urlencode(
            {
                "dataset": key.pid,
                "datablock": key.id,
                "expires": expires,
                "signature": f"{self._signing}.{_signature(self._keys[self._signing], key, expires, name)}",
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
        key_id, _, digest = signature.rpartition(".")
        named = [self._keys[key_id]] if key_id in self._keys else []
        able = named if key_id else self._keys.values()
        right = (_signature(each, key, expires, name).encode() for each in able)
        if not any(hmac.compare_digest(each, digest.encode()) for each in right):
            raise LinkTampered("this link is not valid: use it exactly as it was given")
        if now.timestamp() >= expires:
            raise LinkExpired("this link has expired: ask for the dataset again in SciCat")


def _key_id(key: bytes) -> str:
    """Name a key; nothing of the key can be told from it."""
    return hmac.new(key, b"the id of a key that signs links", hashlib.sha256).hexdigest()[:8]


def _signature(secret: bytes, key: DatablockKey, expires: int, name: str) -> str:
    text = json.dumps([key.pid, key.id, expires, name])
    return hmac.new(secret, text.encode(), hashlib.sha256).hexdigest()
