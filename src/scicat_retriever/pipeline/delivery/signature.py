"""Detached signatures in the format of minisign: Ed25519 over the BLAKE2b-512 of a file.

`minisign -V` and its kin check them with the public key alone. The formats of the signature's file (`ED`: the
file is hashed before) and of the key's are those of https://jedisct1.github.io/minisign/, "Format".
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable
from datetime import datetime
from urllib.parse import quote

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

ENDING = ".minisig"
"""What the name of a signature's file adds to that of the file."""
PUBLIC_KEY_PATH = "/.well-known/retriever-manifest.pub"
"""Where the service gives its public key."""
_LONGEST_SUBJECT = 2000
"""The most characters that a comment says of a file; minisign reads 8192 bytes of the line."""


class ListSigner:
    """Signs lists of files.

    Args:
        secret: A text that is hard to guess. The key pair is made of it, always the same (HKDF, RFC 5869).
    """

    def __init__(self, secret: str) -> None:
        seed = HKDF(SHA256(), 32, None, b"scicat-retriever: the Ed25519 key of manifests").derive(
            secret.encode()
        )
        self._key = Ed25519PrivateKey.from_private_bytes(seed)
        self._public = self._key.public_key().public_bytes_raw()
        self._id = hashlib.sha256(self._public).digest()[:8]

    @property
    def public_key(self) -> str:
        """The file of the public key."""
        # minisign itself shows the id as one little-endian number.
        name = self._id[::-1].hex().upper()
        return f"untrusted comment: minisign public key {name}\n{_text(b'Ed' + self._id + self._public)}\n"

    def sign(self, content: Iterable[bytes], name: str, subject: str, now: datetime) -> str:
        """Give the file of a signature.

        Args:
            content: The bytes that are signed, in pieces; no more than one is held.
            name: What their file is called.
            subject: What it is the file of; shown by minisign, and signed.
            now: The time.
        """
        hashed = hashlib.blake2b()
        for piece in content:
            hashed.update(piece)
        signature = self._key.sign(hashed.digest())
        comment = f"timestamp:{int(now.timestamp())}\tfile:{name}\thashed\t{_printable(subject)}"
        whole = self._key.sign(signature + comment.encode())
        return (
            "untrusted comment: signature of SciCat Retriever\n"
            f"{_text(b'ED' + self._id + signature)}\ntrusted comment: {comment}\n{_text(whole)}\n"
        )


def _printable(text: str) -> str:
    """Write a text in ASCII without blanks, percent-encoded: minisign shows it in a terminal."""
    return quote(text, safe="/:.", errors="replace")[:_LONGEST_SUBJECT]


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()
