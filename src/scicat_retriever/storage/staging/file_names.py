"""Names of staged files, for any pid and datablock id: safe in every storage, and never twice the same.

A file is `<pid>,<id>/<token>`, with a token for each attempt to copy the datablock.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import string

from scicat_retriever.domain.evidence import DatablockKey

LONGEST = 120
"""Characters of one part; two of them and a separator stay below the 255 bytes that Linux allows."""

_TOKEN_BYTES = 8
_A_FILE = re.compile(rf"[A-Za-z0-9_.%~-]+,[A-Za-z0-9_.%~-]+/[0-9a-f]{{{2 * _TOKEN_BYTES}}}")
_KEPT = frozenset(string.ascii_letters + string.digits + "-_.")


def safe_part(text: str) -> str:
    """Turn any text into a file name of at most 120 characters out of `A-Z a-z 0-9 - _ . % ~`.

    Other characters are percent-encoded as in RFC 3986, and so is a leading dot. A name that is still too
    long is cut, and ends in `~` and the SHA-256 of the whole text. The empty text gives a lone `%`. None of
    these names can come from another text.
    """
    raw = text.encode("utf-8", "surrogatepass")
    quoted = "".join(chr(byte) if chr(byte) in _KEPT else f"%{byte:02X}" for byte in raw)
    if quoted.startswith("."):
        quoted = "%2E" + quoted[1:]
    if len(quoted) > LONGEST:
        digest = hashlib.sha256(raw).hexdigest()
        return f"{quoted[: LONGEST - 1 - len(digest)]}~{digest}"
    return quoted or "%"


def folder_name(key: DatablockKey) -> str:
    """Name the folder of a datablock's files; the comma, which no part holds, keeps pid and id apart."""
    return f"{safe_part(key.pid)},{safe_part(key.id)}"


def new_token() -> str:
    """Make a token that no file had or will have."""
    return secrets.token_hex(_TOKEN_BYTES)


def is_file_name(text: str) -> bool:
    """Say whether `<folder>/<token>` may name a file of a staging area; all other files are left alone."""
    return _A_FILE.fullmatch(text) is not None and not text.startswith(".")
