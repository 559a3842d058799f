"""Manifests that earlier releases wrote are read as they were."""

import base64
import hashlib

import pytest

from scicat_retriever.onepass.digests import Hashing
from scicat_retriever.onepass.manifest import Manifest, read_manifest
from scicat_retriever.onepass.member import Member, MemberKind

FIRST_BLOB = (
    "U0NSTTEKbWQ1CgcAAAAqAAAAPwAAACAAAAB4AUtJSyv2yMlngIIXzDAWkTQTVB0LlOaC0jxQmg9KC0BpIQgNAKh4A/54AStOTsxjKAYS+mlF"
    "ibmp8YZ6GaYQ/n8QKyexJLW4hEFPTz+/tIShJLEglSEtMy2fAQiwakIyhIEBAH2AHLDEykI4oLkjgg3MUJpvdYSb1B2M2Y8AsgTpgAmY7PhC"
    "fg=="
)
FIRST = (FIRST_BLOB, "0ad78bccb2e27b11b5ca6ecf2fb895e350869bd90be54e380e06ad0faf4f46d1")
SECOND_BLOB = (
    "U0NSTTIKbWQ1K3NoYTEKZ3ppcCAyCgcAAAAqAAAAPwAAAEgAAAB4AUtJSyv2yMlngIIXzDAWkTQTVB0LlOaC0jxQmg9KC0BpIQgNAKh4A/54"
    "AStOTsxjKAYS+mlFibmp8YZ6GaYQ/n8QKyexJLW4hEFPTz+/tIShJLEglSEtMy2fAQiwakIyhIEBAH2AHLDEykI4oLkjgg3MUJpvdYSbNWoZ"
    "K3kTsExUV00Ywo1G5jlUKKvUHYzZjwCyBOmACZjs+EJ+2jmj7l5rSw0yVb/vlWAYkK/YBwk="
)
SECOND = (SECOND_BLOB, "230ce1ac127c6fd21eddb295a0a4d72b15181f19141ad2d25eeddfae43597826")


def opened(version: tuple[str, str]) -> Manifest:
    blob, seal = version
    return read_manifest(base64.b64decode(blob), seal)


def written(*algorithms: str) -> list[Member]:
    def digest(content: bytes) -> str:
        return "".join(hashlib.new(name, content).hexdigest() for name in algorithms)

    return [
        Member("scan", MemberKind.DIRECTORY, 0, 512, "", "", unsafe=False),
        Member("scan/frame_1.h5", MemberKind.FILE, 1000, 1024, digest(b"1"), "", unsafe=False),
        Member("scan/\udcff.h5", MemberKind.FILE, 0, 2560, digest(b""), "", unsafe=False),
        Member("latest", MemberKind.SYMLINK, 0, 3072, "", "scan/frame_1.h5", unsafe=False),
        Member("../out", MemberKind.HARDLINK, 0, 3584, "", "scan/frame_1.h5", unsafe=True),
        Member("tape", MemberKind.LABEL, 0, 4096, "", "", unsafe=False),
        Member("fifo", MemberKind.OTHER, 0, 4608, "", "", unsafe=False),
    ]


def test_the_first_version_is_read() -> None:
    manifest = opened(FIRST)
    assert list(manifest.members()) == manifest.page(0) == written("md5")
    assert (manifest.hashing, manifest.stored, manifest.tars) == (Hashing.parse("md5"), "plain", 1)


def test_the_second_version_is_read() -> None:
    manifest = opened(SECOND)
    assert list(manifest.members()) == manifest.page(0) == written("md5", "sha1")
    assert (manifest.hashing, manifest.stored, manifest.tars) == (Hashing.parse("md5+sha1"), "gzip", 2)


@pytest.mark.parametrize("version", [FIRST, SECOND])
def test_earlier_versions_say_that_they_know_neither_crc_nor_pieces(version: tuple[str, str]) -> None:
    manifest = opened(version)
    assert (manifest.has_crc, manifest.pieces) == (False, None)
