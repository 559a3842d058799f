"""Manifests give back what was written, and nothing else."""

import contextlib
import hashlib
import os
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scicat_retriever.onepass.checksums import ChecksumAlgorithm
from scicat_retriever.onepass.digests import Hashing
from scicat_retriever.onepass.errors import ManifestDamaged
from scicat_retriever.onepass.manifest import Manifest, ManifestWriter, Stored, read_manifest
from scicat_retriever.onepass.member import LATEST_MTIME, Member, MemberKind
from scicat_retriever.onepass.pieces import PIECE_BYTES, Pieces

NAME = st.binary(min_size=1, max_size=30).map(lambda raw: os.fsdecode(raw.replace(b"\0", b"_")))
NUMBER = st.integers(0, 2**63 - 1)
SHA1 = st.binary(min_size=20, max_size=20).map(bytes.hex)
CRC = st.integers(0, 2**32 - 1)
TIME = st.integers(0, LATEST_MTIME)
FILES = st.builds(
    Member, NAME, st.just(MemberKind.FILE), NUMBER, NUMBER, SHA1, st.just(""), st.booleans(), CRC, TIME
)
OTHERS = st.builds(
    Member,
    NAME,
    st.sampled_from([kind for kind in MemberKind if kind is not MemberKind.FILE]),
    st.just(0),
    NUMBER,
    st.just(""),
    st.one_of(st.just(""), NAME),
    st.booleans(),
    st.just(0),
    TIME,
)
MEMBERS = st.lists(
    st.builds(
        lambda member, lead: member._replace(start=max(member.offset - lead, 0)),
        st.one_of(FILES, OTHERS),
        st.integers(512, 2**31),
    ),
    max_size=20,
).map(lambda members: sorted(members, key=lambda member: member.offset))


def a_file(number: int) -> Member:
    digest = hashlib.sha256(b"%d" % number).hexdigest()
    name = f"scan/frame_{number:06d}.h5"
    return Member(
        name,
        MemberKind.FILE,
        number,
        512 + number * 512,
        digest,
        "",
        False,
        crc=number * 7919,
        mtime=1_700_000_000 + number,
        start=number * 512,
    )


def sealed_files(count: int) -> Manifest:
    writer = ManifestWriter(ChecksumAlgorithm.SHA256)
    for number in range(count):
        writer.add(a_file(number))
    sealed = writer.seal()
    return read_manifest(sealed.blob, sealed.seal)


@given(MEMBERS)
def test_members_come_back_as_they_were_written(members: list[Member]) -> None:
    writer = ManifestWriter(ChecksumAlgorithm.SHA1)
    for member in members:
        writer.add(member)
    sealed = writer.seal()
    manifest = read_manifest(sealed.blob, sealed.seal)
    assert (list(manifest.members()), manifest.has_crc) == (members, True)


@given(MEMBERS, st.data())
def test_what_is_damaged_though_its_seal_holds_is_members_or_damaged(
    members: list[Member], data: st.DataObject
) -> None:
    writer = ManifestWriter(ChecksumAlgorithm.SHA1)
    for member in members:
        writer.add(member)
    blob = bytearray(writer.seal(pieces=Pieces(3, {ChecksumAlgorithm.CRC32: b"four"})).blob)
    for at, byte in data.draw(
        st.lists(st.tuples(st.integers(0, len(blob) - 1), st.integers(0, 255)), min_size=1)
    ):
        blob[at] = byte
    cut = data.draw(st.one_of(st.just(len(blob)), st.integers(0, len(blob))))
    changed = bytes(blob[:cut])
    with contextlib.suppress(ManifestDamaged):
        for member in read_manifest(changed, hashlib.sha256(changed).hexdigest()).members():
            assert isinstance(member, Member)


def test_many_members_come_back_in_order_and_more_than_once() -> None:
    manifest = sealed_files(10_000)
    assert manifest.hashing == Hashing((ChecksumAlgorithm.SHA256,))
    for _ in range(2):
        members = list(manifest.members())
        assert len(members) == 10_000
        assert all(member == a_file(number) for number, member in enumerate(members))


def test_each_page_can_be_read_alone() -> None:
    manifest = sealed_files(10_000)
    assert [len(page) for page in manifest.pages] == [4096, 4096, 1808]
    assert manifest.page(2) == [a_file(number) for number in range(8192, 10_000)]
    assert manifest.page(1)[0] == a_file(4096)
    assert len(manifest.pages[1:]) == 2
    with pytest.raises(IndexError):
        manifest.page(3)


def test_the_columns_of_a_page_say_what_its_members_say() -> None:
    manifest = sealed_files(5_000)
    page, members = manifest.pages[1], manifest.page(1)
    told = zip(
        page.names,
        page.sizes,
        page.offsets,
        page.starts,
        page.crcs,
        page.mtimes,
        page.hexdigests(),
        strict=True,
    )
    assert list(told) == [
        (one.name, one.size, one.offset, one.start, one.crc, one.mtime, one.digest) for one in members
    ]
    assert set(page.letters) == {"f"}


def test_a_page_of_folders_alone_has_no_digests() -> None:
    writer = ManifestWriter(ChecksumAlgorithm.SHA256)
    writer.add(Member("scan", MemberKind.DIRECTORY, 0, 512, "", "", unsafe=False))
    sealed = writer.seal()
    assert read_manifest(sealed.blob, sealed.seal).pages[0].hexdigests() == [""]


def test_pieces_come_back() -> None:
    size = 2 * PIECE_BYTES + 1
    digests = {ChecksumAlgorithm.CRC32: os.urandom(12), ChecksumAlgorithm.SHA256: os.urandom(96)}
    writer = ManifestWriter(ChecksumAlgorithm.SHA256)
    writer.add(a_file(7))
    sealed = writer.seal(pieces=Pieces(size, digests))
    manifest = read_manifest(sealed.blob, sealed.seal)
    assert manifest.pieces == Pieces(size, digests)
    assert list(manifest.members()) == [a_file(7)]


@pytest.mark.parametrize(
    ("stored", "tars", "in_place", "in_staged"),
    [
        ("plain", 1, True, True),
        ("gzip", 1, False, False),
        ("plain", 3, False, True),
        ("gzip", 2, False, False),
        ("unpacked", 1, False, True),
    ],
)
def test_a_manifest_tells_whether_its_members_can_be_cut_out_of_the_archive(
    stored: Stored, tars: int, in_place: bool, in_staged: bool
) -> None:
    writer = ManifestWriter(ChecksumAlgorithm.MD5)
    member = a_file(7)._replace(digest="ab" * 16)
    writer.add(member)
    sealed = writer.seal(stored=stored, tars=tars)
    manifest = read_manifest(sealed.blob, sealed.seal)
    assert (manifest.stored, manifest.tars, str(manifest.hashing)) == (stored, tars, "md5")
    assert (manifest.in_place, manifest.in_staged) == (in_place, in_staged)
    assert list(manifest.members()) == [member]


def test_a_manifest_costs_little_more_than_its_digests() -> None:
    writer = ManifestWriter(ChecksumAlgorithm.SHA256)
    for number in range(10_000):
        writer.add(a_file(number))
    assert len(writer.seal().blob) < 10_000 * 48  # sha256 and CRC-32 have 36 of them


def test_long_names_are_not_held_for_long() -> None:
    writer = ManifestWriter(ChecksumAlgorithm.SHA256)
    members = [a_file(number)._replace(name=f"{number:04000}", link="") for number in range(2000)]
    tracemalloc.start()
    for number in range(2000):
        writer.add(a_file(number)._replace(name=f"{number:04000}"))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 5_000_000
    sealed = writer.seal()
    assert list(read_manifest(sealed.blob, sealed.seal).members()) == members


def test_a_changed_byte_anywhere_breaks_the_seal() -> None:
    writer = ManifestWriter(ChecksumAlgorithm.SHA256)
    writer.add(a_file(7))
    sealed = writer.seal()
    for position in range(len(sealed.blob)):
        changed = bytearray(sealed.blob)
        changed[position] ^= 1
        with pytest.raises(ManifestDamaged, match="sha256"):
            read_manifest(bytes(changed), sealed.seal)


@pytest.mark.parametrize(
    "blob",
    [
        b"",
        b"something else\n",
        b"SCRM1\n",
        b"SCRM1\n" + b"x" * 100,
        b"SCRM1\nmd6\n",
        b"SCRM2\nmd5\n",
        b"SCRM2\nmd5\ngzip 0\n",
        b"SCRM2\nmd5\nzstd 1\n",
        b"SCRM2\nmd5\nunpacked 1\n",
        b"SCRM3\nmd5\n",
        b"SCRM3\nmd5\nplain 1\n",
        b"SCRM3\nmd5\nplain 0 0 0 \n",
        b"SCRM3\nmd5\nplain 1 0 5 crc32\n123",
        b"SCRM3\nmd5\nplain 1 0 5 crc33\n1234",
        b"SCRM3\nmd5\nplain 1 1 0 crc32\n" + bytes(15),
        b"SCRM3\nmd5\nplain 1 1 0 crc32\n" + b"\1" * 16,
        b"SCRM4\nmd5\nplain 1 0 0 \n",
    ],
)
def test_what_is_no_manifest_is_damaged_though_its_seal_holds(blob: bytes) -> None:
    with pytest.raises(ManifestDamaged):
        read_manifest(blob, hashlib.sha256(blob).hexdigest())
