"""Manifests of earlier releases are made anew while fixity reads the staged bytes, and only by what it read."""

import hashlib
import zlib
from dataclasses import replace
from datetime import timedelta

import pytest
import xxhash

from scicat_retriever.domain.evidence import Copied, DatablockKey
from scicat_retriever.domain.ids import DatasetPid
from scicat_retriever.domain.states import DatablockState
from scicat_retriever.onepass.checksums import ChecksumAlgorithm
from scicat_retriever.onepass.manifest import Manifest, SealedManifest, read_manifest
from scicat_retriever.onepass.member import Member
from scicat_retriever.pipeline.recalls import recall
from scicat_retriever.pipeline.staging import space
from scicat_retriever.pipeline.staging.early_checks import check_early
from scicat_retriever.pipeline.staging.fixity import Fixity, FixityLook
from scicat_retriever.pipeline.staging.fixity_pace import FixityPace
from scicat_retriever.pipeline.tools.archive_policy import ArchivePolicy
from scicat_retriever.pipeline.tools.checksum_policy import ChecksumPolicy
from scicat_retriever.pipeline.transfer import publish
from tests.unit.onepass.old_manifests import old_manifest
from tests.unit.onepass.tars import walk
from tests.unit.pipeline.rig import FILES, PID, Rig, tar

EVERY = timedelta(days=30)
PACE = FixityPace(EVERY.total_seconds(), 10**12)
SWEEP = timedelta(minutes=5)
OTHER = DatasetPid("20.500.12345/other")


def look(rig: Rig) -> Fixity:
    return FixityLook(PACE, rig.tools, lambda: False).run()


def sealed(rig: Rig, key: DatablockKey) -> SealedManifest:
    found = rig.ledger.copies.known_manifest(key)
    assert found is not None
    return found


def manifest(rig: Rig, key: DatablockKey) -> Manifest:
    found = sealed(rig, key)
    return read_manifest(found.blob, found.seal)


def made_old(rig: Rig, key: DatablockKey, members: list[Member] | None = None) -> SealedManifest:
    """Give a staged datablock the manifest that an earlier release would have written."""
    now = manifest(rig, key)
    old = old_manifest(
        list(now.members()) if members is None else members,
        str(now.hashing),
        gzip=now.stored == "gzip",
        tars=now.tars,
    )
    assert rig.ledger.copies.renew_manifest(key, sealed(rig, key).seal, old)
    return old


def staged(rig: Rig, *, content: bytes | None = None, pid: DatasetPid = PID) -> DatablockKey:
    (record,) = rig.staged_dataset(rig.archive(content=content, pid=pid), pid=pid)
    return record.key


def staged_compressed(rig: Rig, content: bytes) -> DatablockKey:
    """Stage a compressed archive as earlier releases did: as it is stored."""
    (record,) = rig.plan(rig.archive(content=content, archive_id="p-0.tar.gz"))
    space.claim_dataset(PID, rig.tools)
    recalled = recall.recall(record, rig.tools)
    rig.ledger.datablocks.move(record.key, DatablockState.COPYING)
    with rig.staging.open_partial(record.key, len(content)) as partial:
        partial.write(memoryview(content))
        partial.seal()
    old = old_manifest(walk(tar(FILES)), "sha256", gzip=True)
    checksum = f"xxh3-128:{xxhash.xxh3_128(content).hexdigest()}"
    copied = Copied(recalled, len(content), checksum, old.seal, old.members, partial.token, partial.receipt)
    rig.ledger.copies.save(copied, old.blob)
    publish.verify_and_stage(rig.record(record.key), rig.tools)
    return record.key


def test_a_manifest_of_an_earlier_release_is_made_anew() -> None:
    rig = Rig()
    key = staged(rig)
    new = sealed(rig, key)
    made_old(rig, key)
    assert not manifest(rig, key).has_crc
    rig.clock.advance(EVERY + timedelta(seconds=1))
    assert look(rig) == Fixity(right=1, renewed=1)
    assert sealed(rig, key) == new
    copied = rig.ledger.copies.get(key)
    assert copied is not None
    assert copied.manifest_seal == new.seal
    assert {member.name: member.crc for member in manifest(rig, key).members()} == {
        name: zlib.crc32(content) for name, content in FILES.items()
    }
    assert rig.record(key).state is DatablockState.STAGED


def test_one_of_an_archive_that_was_staged_compressed_tells_of_the_compressed_bytes_pieces() -> None:
    rig = Rig()
    content = tar(FILES, "w:gz")
    key = staged_compressed(rig, content)
    rig.clock.advance(EVERY + timedelta(seconds=1))
    assert look(rig) == Fixity(right=1, renewed=1)
    found = manifest(rig, key)
    assert (found.stored, found.in_staged, found.has_crc) == ("gzip", False, True)
    assert list(found.members()) == walk(tar(FILES))
    assert found.pieces is not None
    assert found.pieces.of(ChecksumAlgorithm.CRC32) == [f"{zlib.crc32(content):08x}"]
    assert rig.record(key).file_name == "p-0.tar.gz"


def test_one_of_an_unpacked_archive_stays_one() -> None:
    rig = Rig()
    key = staged(rig, content=tar(FILES, "w:gz"))
    before = manifest(rig, key)
    tools = replace(rig.tools, checksums=ChecksumPolicy(also_hash=("md5",)))
    rig.clock.advance(EVERY + timedelta(seconds=1))
    assert FixityLook(PACE, tools, lambda: False).run().renewed == 1
    assert (before.stored, manifest(rig, key).stored) == ("unpacked", "unpacked")


def test_one_of_several_tars_is_made_anew_though_they_are_refused_by_now() -> None:
    rig = Rig(archives=ArchivePolicy(joined_tars="read"))
    one, *more = FILES.items()
    key = staged(rig, content=tar(dict([one])) + tar(dict(more)))
    new = sealed(rig, key)
    made_old(rig, key)
    rig.clock.advance(EVERY + timedelta(seconds=1))
    assert look(rig).renewed == 1
    assert sealed(rig, key) == new


def test_one_that_has_all_is_left_as_it_is() -> None:
    rig = Rig()
    key = staged(rig)
    before = sealed(rig, key)
    rig.clock.advance(EVERY + timedelta(seconds=1))
    assert look(rig) == Fixity(right=1)
    assert sealed(rig, key) == before


def test_further_digests_that_an_operator_wants_by_now_are_added() -> None:
    rig = Rig()
    key = staged(rig)
    tools = replace(rig.tools, checksums=ChecksumPolicy(also_hash=("md5",)))
    rig.clock.advance(EVERY + timedelta(seconds=1))
    assert FixityLook(PACE, tools, lambda: False).run().renewed == 1
    found = manifest(rig, key)
    assert str(found.hashing) == "sha256+md5"
    assert {one.name: found.hashing.part(one.digest, ChecksumAlgorithm.MD5) for one in found.members()} == {
        name: hashlib.md5(content).hexdigest() for name, content in FILES.items()
    }
    assert found.pieces is not None
    assert found.pieces.of(ChecksumAlgorithm.MD5) == [hashlib.md5(tar(FILES)).hexdigest()]


@pytest.mark.parametrize("fault", ["digest", "name", "fewer", "more"])
def test_members_that_are_not_those_of_the_old_manifest_leave_it(fault: str) -> None:
    rig = Rig()
    key = staged(rig)
    members = list(manifest(rig, key).members())
    if fault == "digest":
        members[0] = members[0]._replace(digest="00" * 32)
    elif fault == "name":
        members[0] = members[0]._replace(name="another")
    elif fault == "fewer":
        members.pop()
    else:
        members.append(members[0])
    old = made_old(rig, key, members)
    rig.clock.advance(EVERY + timedelta(seconds=1))
    assert look(rig) == Fixity(right=1)
    assert sealed(rig, key) == old


def test_bytes_that_have_changed_renew_nothing() -> None:
    rig = Rig()
    key = staged(rig)
    old = made_old(rig, key)
    content = bytearray(tar(FILES))
    content[700] ^= 1
    rig.staging.damage_staged(key, bytes(content))
    rig.clock.advance(EVERY + timedelta(seconds=1))
    assert (look(rig).wrong, sealed(rig, key)) == (1, old)


def test_what_somebody_waits_for_is_read_before_its_time() -> None:
    rig = Rig()
    key, other = staged(rig), staged(rig, pid=OTHER)
    for each in (key, other):
        made_old(rig, each)
    assert look(rig) == Fixity()
    by = check_early([other], FixityPace(EVERY.total_seconds(), 100), SWEEP, rig.tools)
    size = rig.record(other).bytes_total
    assert by == rig.clock() + SWEEP + timedelta(seconds=size / 100)
    assert look(rig) == Fixity(right=1, renewed=1)
    assert (manifest(rig, key).has_crc, manifest(rig, other).has_crc) == (False, True)
    assert look(rig) == Fixity()


def test_who_asks_later_waits_for_those_before() -> None:
    rig = Rig()
    key, other = staged(rig), staged(rig, pid=OTHER)
    pace = FixityPace(EVERY.total_seconds(), 100)
    first, second = check_early([other], pace, SWEEP, rig.tools), check_early([key], pace, SWEEP, rig.tools)
    assert first is not None
    assert second is not None
    assert second - first == timedelta(seconds=rig.record(key).bytes_total / 100)
    assert check_early([other], pace, SWEEP, rig.tools) == first


def test_where_nothing_is_read_again_nobody_says_when() -> None:
    rig = Rig()
    assert check_early([staged(rig)], FixityPace(EVERY.total_seconds(), 0), SWEEP, rig.tools) is None
