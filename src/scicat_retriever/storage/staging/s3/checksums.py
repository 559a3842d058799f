"""Checksums that an S3 computes itself: of each part as it arrives, and of the object that the parts make.

How the object's checksum follows from those of the parts:
https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity.html (full object: the parts'
CRCs combined; composite: the checksum of the parts' checksums, `-` and their number; ETags likewise, of MD5).
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal, Self

from awscrt import checksums as crt

Name = Literal["crc64nvme", "crc32c", "sha256", "md5"]


@dataclass(frozen=True, slots=True)
class UploadPart:
    """A part of an upload.

    Attributes:
        number: Its number, from 1.
        size: Bytes.
        etag: Its ETag, without quotation marks.
        digest: Its checksum; empty where the S3 does not say.
    """

    number: int
    size: int
    etag: str
    digest: bytes


@dataclass(frozen=True, slots=True)
class Checksum:
    """A kind of checksum.

    Attributes:
        name: Its name in the settings and in receipts.
        field: Its name in requests and answers; None where ETags are compared, which are MD5.
        kind: Whether the S3 keeps a checksum of the whole object, or one of the parts' checksums.
        of: Computes the checksum of bytes.
        whole: Computes the object's checksum from those of its parts, as the S3 writes it.
    """

    name: Name
    field: str | None
    kind: Literal["FULL_OBJECT", "COMPOSITE"]
    of: Callable[[bytes | bytearray], bytes]
    whole: Callable[[Sequence[UploadPart]], str]

    @property
    def needs_listing(self) -> bool:
        """Whether the S3 must list the parts' checksums, since an upload cannot be completed without them."""
        return self.field is not None and self.kind == "COMPOSITE"

    def asks(self) -> dict[str, Any]:
        """Give the parameters with which an upload is begun."""
        if self.field is None:
            return {}
        return {"ChecksumAlgorithm": self.field.removeprefix("Checksum"), "ChecksumType": self.kind}

    def sends(self, digest: bytes) -> dict[str, Any]:
        """Give the parameters that go with a part, so that the S3 refuses a part damaged on its way."""
        return {self.field or "ContentMD5": base64.b64encode(digest).decode()}

    def completes(self, whole: str) -> dict[str, Any]:
        """Give the parameters that go with the request to make the object of its parts."""
        if self.field is None or self.needs_listing:
            return {}
        return {self.field: whole, "ChecksumType": self.kind}

    def digest_in(self, answer: Mapping[str, Any]) -> bytes:
        """Give the checksum of a part that an answer holds; empty where it holds none."""
        if self.field is None:
            etag = str(answer.get("ETag", "")).strip('"')
            return (
                bytes.fromhex(etag)
                if len(etag) == 2 * hashlib.md5(usedforsecurity=False).digest_size
                else b""
            )
        return base64.b64decode(answer.get(self.field, ""))

    def whole_in(self, answer: Mapping[str, Any]) -> str:
        """Give the checksum of an object that an answer holds; empty where it holds none."""
        return str(answer.get(self.field or "ETag", "")).strip('"')


@dataclass(frozen=True, slots=True)
class Receipt:
    """What an object holds, told alike before and after it is made: `crc64nvme:EUmN495f064=;bytes:10485763`.

    Attributes:
        checksum: The kind of checksum.
        whole: The checksum of the whole object, as the S3 writes it.
        size: Bytes.
    """

    checksum: Checksum
    whole: str
    size: int

    def __str__(self) -> str:
        return f"{self.checksum.name}:{self.whole};bytes:{self.size}"

    @classmethod
    def of(cls, checksum: Checksum, parts: Sequence[UploadPart]) -> Self:
        """Make the receipt of the object that these parts, in their order, make."""
        return cls(checksum, checksum.whole(parts), sum(part.size for part in parts))

    @classmethod
    def read(cls, text: str) -> Self | None:
        """Read a receipt that `str` wrote; None for any other text."""
        match = _RECEIPT.fullmatch(text)
        if match is None or match["name"] not in _CHECKSUMS:
            return None
        return cls(_CHECKSUMS[match["name"]], match["whole"], int(match["size"]))


def checksum_named(name: Name) -> Checksum:
    """Give the kind of checksum with this name."""
    return _CHECKSUMS[name]


def _md5(data: bytes | bytearray) -> bytes:
    return hashlib.md5(data, usedforsecurity=False).digest()


def _sha256(data: bytes | bytearray) -> bytes:
    return hashlib.sha256(data).digest()


def _crc32c(data: bytes | bytearray) -> bytes:
    return int(crt.crc32c(data)).to_bytes(4, "big")


def _crc64nvme(data: bytes | bytearray) -> bytes:
    return int(crt.crc64nvme(data)).to_bytes(8, "big")


def _combined(combine: Callable[[int, int, int], int], width: int) -> Callable[[Sequence[UploadPart]], str]:
    """Give a function that computes the CRC of an object, `width` bytes, from its parts' CRCs and sizes."""

    def whole(parts: Sequence[UploadPart]) -> str:
        crc = 0
        for part in parts:
            crc = combine(crc, int.from_bytes(part.digest, "big"), part.size)
        return base64.b64encode(crc.to_bytes(width, "big")).decode()

    return whole


def _composite_sha256(parts: Sequence[UploadPart]) -> str:
    return f"{base64.b64encode(_sha256(_joined(parts))).decode()}-{len(parts)}"


def _etag(parts: Sequence[UploadPart]) -> str:
    return f"{_md5(_joined(parts)).hex()}-{len(parts)}"


def _joined(parts: Sequence[UploadPart]) -> bytes:
    return b"".join(part.digest for part in parts)


_RECEIPT = re.compile(r"(?P<name>\w+):(?P<whole>[^;]+);bytes:(?P<size>[0-9]{1,19})", re.ASCII)
_CHECKSUMS: Mapping[str, Checksum] = MappingProxyType(
    {
        each.name: each
        for each in (
            Checksum(
                "crc64nvme",
                "ChecksumCRC64NVME",
                "FULL_OBJECT",
                _crc64nvme,
                _combined(crt.combine_crc64nvme, 8),
            ),
            Checksum("crc32c", "ChecksumCRC32C", "FULL_OBJECT", _crc32c, _combined(crt.combine_crc32c, 4)),
            Checksum("sha256", "ChecksumSHA256", "COMPOSITE", _sha256, _composite_sha256),
            Checksum("md5", None, "COMPOSITE", _md5, _etag),
        )
    }
)
