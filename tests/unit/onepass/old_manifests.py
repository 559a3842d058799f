"""Manifests as releases before wrote them, `SCRM1` and `SCRM2`, for tests of what is staged since then."""

import hashlib
import struct
import zlib
from array import array
from collections.abc import Iterable

from scicat_retriever.onepass.manifest import SealedManifest
from scicat_retriever.onepass.manifest_page import LETTERS
from scicat_retriever.onepass.member import Member


def old_manifest(
    members: Iterable[Member], hashing: str, *, gzip: bool = False, tars: int = 1
) -> SealedManifest:
    """Write members, 4096 at the most, as a manifest of an earlier release."""
    listed = list(members)
    letters = "".join(LETTERS[each.kind].upper() if each.unsafe else LETTERS[each.kind] for each in listed)
    numbers = letters.encode() + b"".join(
        array("Q", values).tobytes()
        for values in ([each.size for each in listed], [each.offset for each in listed])
    )
    text = "\0".join((*(each.name for each in listed), *(each.link for each in listed), ""))
    columns = (
        zlib.compress(numbers, 1),
        zlib.compress(text.encode("utf-8", "surrogateescape"), 1),
        bytes.fromhex("".join(each.digest for each in listed)),
    )
    head = f"SCRM1\n{hashing}\n"
    if gzip or tars > 1:
        head = f"SCRM2\n{hashing}\n{'gzip' if gzip else 'plain'} {tars}\n"
    page = struct.pack("<4I", len(listed), *map(len, columns)) + b"".join(columns) if listed else b""
    blob = head.encode() + page
    return SealedManifest(blob, hashlib.sha256(blob).hexdigest(), len(listed))
