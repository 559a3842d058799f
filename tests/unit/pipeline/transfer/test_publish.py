from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

import pytest

from scicat_retriever.domain import errors
from scicat_retriever.domain.dataset import FileEntry
from scicat_retriever.domain.errors import IntegrityError
from scicat_retriever.domain.evidence import Copied, DatablockKey, Integrity
from scicat_retriever.domain.ids import DatasetPid
from scicat_retriever.domain.states import DatablockState
from scicat_retriever.onepass.checksums import ChecksumAlgorithm
from scicat_retriever.onepass.manifest import ManifestWriter
from scicat_retriever.pipeline.recalls import recall
from scicat_retriever.pipeline.tools.checksum_policy import ChecksumPolicy
from scicat_retriever.pipeline.transfer import copy as transfer
from scicat_retriever.pipeline.transfer import publish
from tests.fakes.ledger import InMemoryLedger
from tests.fakes.staging_area import InMemoryStagingArea
from tests.unit.pipeline.rig import FILES, PID, START, Rig, entries, tar, without_checksums

State = DatablockState
Q = DatasetPid("20.500.12345/q")


def test_a_copy_that_is_what_was_catalogued_gets_its_final_name() -> None:
    rig, content = Rig(), tar(FILES)
    (record,) = rig.plan(rig.archive(content=content))
    rig.copy(record)
    assert rig.staging.staged_keys() == set()
    publish.verify_and_stage(rig.record(record.key), rig.tools)
    after = rig.record(record.key)
    assert rig.staging.staged_content(record.key) == content
    assert (after.state, after.integrity, after.staged_at) == (State.STAGED, Integrity.VERIFIED, START)


def mutated(name: str = "run/a.dat", content: bytes | None = None) -> bytes:
    changed = dict(FILES)
    if content is None:
        del changed[name]
    else:
        changed[name] = content
    return tar(changed)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (mutated(content=b"alphA" + FILES["run/a.dat"][5:]), errors.ChecksumMismatch),
        (mutated(content=b"longer" * 1000), errors.SizeMismatch),
        (mutated(), errors.MemberMissing),
        (mutated("run/new", b"1"), errors.MemberUnexpected),
        (tar({**FILES, "/etc/passwd": b"x"}), errors.MemberUnsafe),
    ],
)
def test_a_copy_that_is_not_what_was_catalogued_never_gets_its_final_name(
    content: bytes, expected: type[IntegrityError]
) -> None:
    rig = Rig()
    (record,) = rig.plan(rig.archive(content=content))
    rig.copy(record)
    with pytest.raises(expected, match=r"p-0\.tar: "):
        publish.verify_and_stage(rig.record(record.key), rig.tools)
    assert rig.staging.staged_keys() == set()
    assert rig.record(record.key).state is State.COPIED


def test_verifying_a_staged_datablock_again_changes_nothing() -> None:
    rig = Rig()
    (record,) = rig.staged_dataset()
    rig.staging.delete(record.key)
    publish.verify_and_stage(record, rig.tools)
    assert rig.record(record.key) == record


def test_a_commit_that_the_ledger_was_not_told_of_is_made_good() -> None:
    rig = Rig()
    (record,) = rig.plan()
    copied = rig.copy(record)
    rig.staging.commit(record.key, copied.partial, copied.receipt)
    publish.verify_and_stage(rig.record(record.key), rig.tools)
    assert rig.record(record.key).state is State.STAGED


class PartsGoing(InMemoryStagingArea):
    """An S3 that removes the parts of an upload one by one that was completed."""

    def partial_size(self, key: DatablockKey, token: str) -> int | None:
        return super().partial_size(key, token) if self.staged_size(key, token) is None else 100


def test_a_copy_that_another_attempt_commits_is_whole_though_parts_of_its_upload_are_gone() -> None:
    rig = Rig(staging=PartsGoing())
    (record,) = rig.plan()
    copied = rig.copy(record)
    rig.staging.commit(record.key, copied.partial, copied.receipt)
    publish.verify_and_stage(rig.record(record.key), rig.tools)
    assert rig.record(record.key).state is State.STAGED


def test_a_copy_whose_file_is_gone_is_an_error() -> None:
    rig = Rig()
    (record,) = rig.plan()
    rig.copy(record)
    rig.staging.discard_partial(record.key)
    with pytest.raises(errors.StagedFileMissing, match="the staging area has None"):
        publish.verify_and_stage(rig.record(record.key), rig.tools)


def test_a_copy_whose_file_has_another_length_is_an_error() -> None:
    rig = Rig()
    (record,) = rig.plan()
    copied = rig.copy(record)
    with rig.staging.open_partial(record.key, 10) as partial:
        partial.write(memoryview(b"0123456789"))
    rig.ledger.copies.save(
        replace(copied, partial=partial.token), rig.ledger.copies.manifest(record.key) or b""
    )
    with pytest.raises(errors.StagedFileMissing, match="the staging area has 10"):
        publish.verify_and_stage(rig.record(record.key), rig.tools)
    assert rig.staging.staged_keys() == set()


ROTTEN = mutated(content=b"alphA" + FILES["run/a.dat"][5:])
"""As long as the good archive, and not the same."""


def test_what_a_later_attempt_wrote_is_not_staged_by_what_an_earlier_one_proved() -> None:
    rig = Rig()
    (record,) = rig.plan()
    recalled = recall.recall(record, rig.tools)

    def begin_another(_: int) -> None:
        rig.store.put(record.datablock.archive_id, ROTTEN)
        rig.copy(record)

    with suppress(errors.StagedFileMissing):
        transfer.copy(recalled, record, rig.tools, progress=begin_another, cancelled=lambda: False)
    with pytest.raises(errors.ChecksumMismatch):
        publish.verify_and_stage(rig.record(record.key), rig.tools)
    assert rig.staging.staged_keys() == set()


class OvertakenLedger(InMemoryLedger):
    """A ledger where something else happens just before the first copy is saved."""

    overtake: Callable[[], object] | None = None

    def save_copy(self, copied: Copied, manifest: bytes) -> None:
        overtake, self.overtake = self.overtake, None
        if overtake is not None:
            overtake()
        super().save_copy(copied, manifest)


def test_evidence_that_is_saved_after_its_file_is_gone_stages_nothing_and_the_copy_is_made_again() -> None:
    rig, content = Rig(), tar(FILES)
    ledger = rig.ledger = OvertakenLedger(rig.clock)
    rig.tools = replace(rig.tools, ledger=ledger)
    (record,) = rig.plan(rig.archive(content=content))

    def begin_another() -> None:
        rig.store.put(record.datablock.archive_id, ROTTEN)
        rig.copy(record)

    ledger.overtake = begin_another
    rig.copy(record)
    with pytest.raises(errors.StagedFileMissing):
        publish.verify_and_stage(rig.record(record.key), rig.tools)
    assert rig.staging.staged_keys() == set()
    assert not transfer.is_copied(rig.record(record.key), rig.tools)
    rig.store.put(record.datablock.archive_id, content)
    rig.stage(rig.record(record.key))
    assert rig.staging.staged_content(record.key) == content


def test_an_older_staged_file_is_never_taken_for_the_new_copy() -> None:
    rig = Rig()
    (old,) = rig.staged_dataset()
    newer = {**FILES, "run/a.dat": b"omega" * 200}
    (record,) = rig.plan(rig.archive(content=tar(newer), listed=entries(newer)), run="run-2")
    rig.copy(record)
    rig.staging.discard_partial(record.key)
    assert rig.staging.staged_keys() == {old.key}
    with pytest.raises(errors.StagedFileMissing):
        publish.verify_and_stage(rig.record(record.key), rig.tools)
    assert rig.record(record.key).state is State.COPIED


def test_a_new_copy_takes_the_place_of_an_older_staged_file() -> None:
    rig = Rig()
    rig.staged_dataset()
    newer = {**FILES, "run/a.dat": b"omega" * 200}
    (record,) = rig.plan(rig.archive(content=tar(newer), listed=entries(newer)), run="run-2")
    rig.stage(record)
    assert rig.staging.staged_content(record.key) == tar(newer)


def test_a_datablock_that_was_never_copied_is_an_error() -> None:
    rig = Rig()
    (record,) = rig.plan()
    with pytest.raises(errors.StagedFileMissing, match="no record of its copy"):
        publish.verify_and_stage(record, rig.tools)


def test_a_manifest_without_its_seal_is_an_error_of_the_system() -> None:
    rig = Rig()
    (record,) = rig.plan()
    copied = rig.copy(record)
    rig.ledger.copies.save(copied, ManifestWriter(ChecksumAlgorithm.SHA256).seal().blob)
    with pytest.raises(errors.ManifestDamaged, match=r"p-0\.tar") as raised:
        publish.verify_and_stage(rig.record(record.key), rig.tools)
    assert raised.value.cause is errors.Cause.SYSTEM


def test_a_manifest_of_another_algorithm_is_an_error_of_the_system_and_no_mismatch() -> None:
    rig = Rig(policy=ChecksumPolicy(unnamed_algorithm="sha256"))
    (record,) = rig.plan(rig.archive(algorithm=None))
    rig.copy(record)
    now = replace(rig.tools, checksums=ChecksumPolicy(unnamed_algorithm="sha3-256"))
    with pytest.raises(errors.ManifestDamaged, match="hashed with sha256, wanted is sha3-256"):
        publish.verify_and_stage(rig.record(record.key), now)


def test_a_dataset_without_checksums_is_published_as_size_only_by_policy() -> None:
    rig = Rig(policy=ChecksumPolicy("size_only"))
    rig.staged_dataset(rig.archive(0), rig.archive(1, listed=without_checksums(FILES), algorithm=None))
    assert publish.publish(PID, rig.tools).integrity is Integrity.SIZE_ONLY


def test_a_whole_dataset_is_published_and_needs_no_more_space_than_it_has() -> None:
    rig = Rig()
    rig.staged_dataset(rig.archive(0), rig.archive(1))
    assert publish.publish(PID, rig.tools) == publish.Published(True, Integrity.VERIFIED)
    usage = rig.ledger.inventory.usage()
    assert (usage.claimed, usage.staged) == (0, 2 * len(tar(FILES)))


def test_a_dataset_of_which_one_datablock_is_not_staged_is_not_published() -> None:
    rig = Rig()
    first, _ = rig.plan(rig.archive(0), rig.archive(1))
    rig.stage(first)
    with pytest.raises(errors.StagedFileMissing, match=r"p-1\.tar"):
        publish.publish(PID, rig.tools)


def test_a_dataset_without_datablocks_is_not_published() -> None:
    with pytest.raises(errors.StagedFileMissing, match="no datablock that is asked for"):
        publish.publish(PID, Rig().tools)


@pytest.mark.parametrize("loss", ["gone", "longer"])
def test_a_dataset_whose_file_is_not_what_was_staged_is_not_published(loss: str) -> None:
    rig = Rig()
    _, second = rig.staged_dataset(rig.archive(0), rig.archive(1))
    if loss == "gone":
        rig.staging.delete(second.key)
    else:
        rig.staging.damage_staged(second.key, tar(FILES) + b"x")
    with pytest.raises(errors.StagedFileMissing, match=r"p-1\.tar"):
        publish.publish(PID, rig.tools)


def test_a_catalogued_file_that_is_not_archived_is_named() -> None:
    rig = Rig()
    listed = (*entries(FILES), FileEntry("run/lost.dat", 3, "00" * 32))
    (record,) = rig.plan(rig.archive(listed=listed))
    rig.copy(record)
    with pytest.raises(errors.MemberMissing, match=r"run/lost\.dat"):
        publish.verify_and_stage(rig.record(record.key), rig.tools)
