"""Manifests give back what was written, and nothing else."""

import hashlib
import os
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scicat_retriever.onepass.checksums import ChecksumAlgorithm
from scicat_retriever.onepass.digests import Hashing
from scicat_retriever.onepass.errors import ManifestDamaged
from scicat_retriever.onepass.manifest import ManifestWriter, read_manifest
from scicat_retriever.onepass.member import Member, MemberKind

NAME = st.binary(min_size=1, max_size=30).map(lambda raw: os.fsdecode(raw.replace(b"\0", b"_")))
NUMBER = st.integers(0, 2**63 - 1)
SHA1 = st.binary(min_size=20, max_size=20).map(bytes.hex)
FILES = st.builds(Member, NAME, st.just(MemberKind.FILE), NUMBER, NUMBER, SHA1, st.just(""), st.booleans())
OTHERS = st.builds(
    Member,
    NAME,
    st.sampled_from([kind for kind in MemberKind if kind is not MemberKind.FILE]),
    st.just(0),
    NUMBER,
    st.just(""),
    st.one_of(st.just(""), NAME),
    st.booleans(),
)


def a_file(number: int) -> Member:
    digest = hashlib.sha256(b"%d" % number).hexdigest()
    return Member(f"scan/frame_{number:06d}.h5", MemberKind.FILE, number, number * 512, digest, "", False)


@given(st.lists(st.one_of(FILES, OTHERS), max_size=20))
def test_members_come_back_as_they_were_written(members: list[Member]) -> None:
    writer = ManifestWriter(ChecksumAlgorithm.SHA1)
    for member in members:
        writer.add(member)
    sealed = writer.seal()
    assert list(read_manifest(sealed.blob, sealed.seal).members()) == members


def test_many_members_come_back_in_order_and_more_than_once() -> None:
    writer = ManifestWriter(ChecksumAlgorithm.SHA256)
    for number in range(10_000):
        writer.add(a_file(number))
    sealed = writer.seal()
    manifest = read_manifest(sealed.blob, sealed.seal)
    assert (sealed.members, manifest.hashing) == (10_000, Hashing((ChecksumAlgorithm.SHA256,)))
    for _ in range(2):
        assert all(member == a_file(number) for number, member in enumerate(manifest.members()))


@pytest.mark.parametrize(("gzip", "tars"), [(False, 1), (True, 1), (False, 3), (True, 2)])
def test_a_manifest_tells_whether_its_members_can_be_cut_out_of_the_archive(gzip: bool, tars: int) -> None:
    writer = ManifestWriter(ChecksumAlgorithm.MD5)
    member = a_file(7)._replace(digest="ab" * 16)
    writer.add(member)
    sealed = writer.seal(gzip=gzip, tars=tars)
    manifest = read_manifest(sealed.blob, sealed.seal)
    assert (manifest.gzip, manifest.tars, str(manifest.hashing)) == (gzip, tars, "md5")
    assert manifest.in_place == ((gzip, tars) == (False, 1))
    assert list(manifest.members()) == [member]


def test_a_manifest_costs_little_more_than_its_digests() -> None:
    writer = ManifestWriter(ChecksumAlgorithm.SHA256)
    for number in range(10_000):
        writer.add(a_file(number))
    assert len(writer.seal().blob) < 10_000 * 48


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
    ],
)
def test_what_is_no_manifest_is_damaged_though_its_seal_holds(blob: bytes) -> None:
    with pytest.raises(ManifestDamaged):
        read_manifest(blob, hashlib.sha256(blob).hexdigest())
