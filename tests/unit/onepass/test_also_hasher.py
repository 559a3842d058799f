"""A further hash of members and pieces, in a thread of its own, is what each algorithm says alone."""

import gzip
import hashlib
import os
import random
import threading
from pathlib import Path

import pytest

from scicat_retriever.onepass.checksums import ChecksumAlgorithm
from scicat_retriever.onepass.copying import CopyReport, copy_and_hash
from scicat_retriever.onepass.digests import Hashing
from scicat_retriever.onepass.errors import CopyCancelled, TruncatedArchive
from scicat_retriever.onepass.member import Member
from scicat_retriever.onepass.pieces import PIECE_BYTES
from tests.unit.onepass.tars import END, file, header, walk

MD5, SHA1, SHA256 = ChecksumAlgorithm.MD5, ChecksumAlgorithm.SHA1, ChecksumAlgorithm.SHA256
CONTENTS = {
    b"empty": b"",
    b"small": b"content",
    b"middling": random.Random(1).randbytes(700_000),
    b"large": random.Random(2).randbytes(PIECE_BYTES + 12_345),
    b"last": b"x" * 513,
}
TAR = b"".join(file(name, content) for name, content in CONTENTS.items()) + header(b"folder", kind=b"5") + END
GZIPPED = gzip.compress(file(b"zeros", bytes(60 << 20)) + file(b"next", b"x") + END, 1)


def copied(
    data: bytes, path: Path, main: ChecksumAlgorithm | Hashing, also: Hashing | None
) -> tuple[CopyReport, list[Member]]:
    (path / "source").write_bytes(data)
    members: list[Member] = []
    with (path / "source").open("rb") as source:
        report = copy_and_hash(
            source.fileno(), path / "partial", algorithm=main, also=also, on_member=members.append
        )
    return report, members


@pytest.mark.parametrize(
    ("main", "also", "names"),
    [
        (Hashing.of([MD5]), Hashing.of([SHA256]), ["md5", "sha256"]),
        (Hashing.of([SHA256]), Hashing.of([MD5, SHA1]), ["sha256", "md5", "sha1"]),
        (Hashing.of([MD5, SHA256]), Hashing.of([SHA256, SHA1]), ["md5", "sha256", "sha1"]),
        (Hashing.of([SHA256]), Hashing.of([SHA256]), ["sha256"]),
    ],
)
def test_a_digest_is_that_of_each_algorithm_one_after_the_other(
    main: Hashing, also: Hashing, names: list[str], tmp_path: Path
) -> None:
    report, members = copied(TAR, tmp_path, main, also)
    assert str(report.algorithm) == "+".join(names)
    digests = {
        name.decode(): "".join(hashlib.new(each, content).hexdigest() for each in names)
        for name, content in CONTENTS.items()
    }
    assert {member.name: member.digest for member in members} == digests | {"folder": ""}
    assert [one._replace(digest="") for one in members] == [one._replace(digest="") for one in walk(TAR)]


def test_pieces_are_hashed_by_it_too(tmp_path: Path) -> None:
    report, _ = copied(TAR, tmp_path, SHA256, Hashing.of([SHA256, MD5]))
    parts = [TAR[at : at + PIECE_BYTES] for at in range(0, len(TAR), PIECE_BYTES)]
    assert report.pieces.of(SHA256) == [hashlib.sha256(part).hexdigest() for part in parts]
    assert report.pieces.of(MD5) == [hashlib.md5(part).hexdigest() for part in parts]
    assert len(report.pieces.of(ChecksumAlgorithm.CRC32)) == len(parts) == 2


def test_what_unpacks_to_many_times_its_bytes_is_hashed_too(tmp_path: Path) -> None:
    _, members = copied(GZIPPED, tmp_path, MD5, Hashing.of([SHA1]))
    expected = [hashlib.md5(bytes(60 << 20)).hexdigest() + hashlib.sha1(bytes(60 << 20)).hexdigest()]
    assert [member.digest for member in members[:1]] == expected
    assert [member.name for member in members] == ["zeros", "next"]


def test_a_thousand_small_members_come_in_their_order(tmp_path: Path) -> None:
    contents = {f"f{number}": os.urandom(number) for number in range(1000)}
    data = b"".join(file(name.encode(), content) for name, content in contents.items()) + END
    _, members = copied(data, tmp_path, MD5, Hashing.of([SHA1]))
    assert [(member.name, member.digest) for member in members] == [
        (name, hashlib.md5(content).hexdigest() + hashlib.sha1(content).hexdigest())
        for name, content in contents.items()
    ]


def test_a_fault_leaves_no_thread(tmp_path: Path) -> None:
    with pytest.raises(TruncatedArchive):
        copied(TAR[:-2000], tmp_path, MD5, Hashing.of([SHA256]))
    assert not [each for each in threading.enumerate() if each.name.startswith("onepass-also")]


def test_a_cancelled_copy_leaves_no_thread(tmp_path: Path) -> None:
    class Endless:
        given = False

        def readinto(self, buffer: memoryview) -> int:
            head = b"" if self.given else header(b"huge", b"\x80" + (1 << 50).to_bytes(11, "big"))
            self.given = True
            buffer[:] = head + bytes(len(buffer) - len(head))
            return len(buffer)

    with pytest.raises(CopyCancelled):
        copy_and_hash(
            Endless(),
            tmp_path / "partial",
            algorithm=MD5,
            also=Hashing.of([SHA256]),
            on_member=lambda _: None,
            cancelled=lambda: True,
        )
    assert not [each for each in threading.enumerate() if each.name.startswith("onepass-also")]
