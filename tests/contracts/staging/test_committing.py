"""Staged files: what every staging area promises of them."""

from __future__ import annotations

import io
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest

from scicat_retriever.domain.errors import StagedBytesDiffer, StagedFileMissing, StagingError
from scicat_retriever.domain.evidence import DatablockKey
from tests.contracts.staging.rig import CONTENT, KEY, MIB, AreaRig, key, stage, staged, write, write_partial

UNUSUAL = [
    ("", ""),
    ("..", ".."),
    ("20.500.12345/abc", "../../x"),
    ("a\0b", "/"),
    ("ä ö", "%2F"),
    ("x" * 300, "y" * 5000),
    ("a,b", "c"),
    ("a+b c?d#e&f=g", "//"),
]


def test_committed_bytes_are_staged_with_their_size(rig: AreaRig) -> None:
    token = stage(rig.area, KEY)
    assert (rig.area.staged_size(KEY, token), staged(rig.area, KEY, token)) == (len(CONTENT), CONTENT)


def test_committing_leaves_no_partial(rig: AreaRig) -> None:
    token = stage(rig.area, KEY)
    assert rig.area.partial_size(KEY, token) is None


def test_a_partial_is_committed_by_another_process_s_area(rig: AreaRig) -> None:
    partial = write_partial(rig.area, KEY)
    other = rig.make_area() if type(rig) is AreaRig else rig.area
    other.commit(KEY, partial.token, partial.receipt)
    assert staged(rig.area, KEY, partial.token) == CONTENT


def test_committing_twice_is_committing_once(rig: AreaRig) -> None:
    partial = write_partial(rig.area, KEY)
    for _ in range(2):
        rig.area.commit(KEY, partial.token, partial.receipt)
    assert staged(rig.area, KEY, partial.token) == CONTENT
    assert [each.token for each in rig.area.holdings()] == [partial.token]


def test_committing_from_many_threads_at_once_is_committing_once(rig: AreaRig) -> None:
    partial = write_partial(rig.area, KEY, CONTENT * 24)
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(rig.area.commit, [KEY] * 8, [partial.token] * 8, [partial.receipt] * 8))
    assert staged(rig.area, KEY, partial.token) == CONTENT * 24


def test_committing_nothing_is_an_error(rig: AreaRig) -> None:
    partial = write_partial(rig.area, key(datablock="another"))
    with pytest.raises(StagedFileMissing):
        rig.area.commit(KEY, partial.token, partial.receipt)


def other_receipt(rig: AreaRig, content: bytes) -> str:
    return write_partial(rig.area, key(datablock="another"), content).receipt


@pytest.mark.parametrize("wrong", [b"", CONTENT[:-1], CONTENT + b"x"], ids=["empty", "shorter", "longer"])
def test_a_partial_that_is_not_what_the_receipt_says_is_refused_and_removed(
    rig: AreaRig, wrong: bytes
) -> None:
    receipt = other_receipt(rig, wrong)
    rig.area.discard_partial(key(datablock="another"))
    partial = write_partial(rig.area, KEY)
    with pytest.raises(StagedBytesDiffer):
        rig.area.commit(KEY, partial.token, receipt)
    assert (rig.area.partial_size(KEY, partial.token), rig.area.staged_size(KEY, partial.token)) == (
        None,
        None,
    )
    assert list(rig.area.holdings()) == []


@pytest.mark.parametrize(
    "wrong", ["", "nonsense", "bytes:", "crc64nvme:AAAA;bytes:1", "md5:x;bytes:" + "9" * 500]
)
def test_what_is_no_receipt_of_it_commits_nothing(rig: AreaRig, wrong: str) -> None:
    partial = write_partial(rig.area, KEY)
    with pytest.raises(StagedBytesDiffer):
        rig.area.commit(KEY, partial.token, wrong)
    assert list(rig.area.holdings()) == []


def test_a_staged_file_that_is_not_what_the_receipt_says_is_removed_too(rig: AreaRig) -> None:
    receipt = other_receipt(rig, b"something else")
    token = stage(rig.area, KEY)
    with pytest.raises(StagedBytesDiffer):
        rig.area.commit(KEY, token, receipt)
    assert rig.area.staged_size(KEY, token) is None


def test_a_refused_commit_leaves_the_staged_file_of_before(rig: AreaRig) -> None:
    token = stage(rig.area, KEY)
    partial = write_partial(rig.area, KEY, b"again")
    with pytest.raises(StagedBytesDiffer):
        rig.area.commit(KEY, partial.token, "nonsense")
    assert staged(rig.area, KEY, token) == CONTENT


def test_committing_what_is_still_being_written_stages_nothing(rig: AreaRig) -> None:
    receipt = other_receipt(rig, b"half")
    with suppress(OSError, StagingError), rig.area.open_partial(KEY, 100) as partial:
        write(partial, b"half")
        with pytest.raises(StagingError):
            rig.area.commit(KEY, partial.token, receipt)
        assert rig.area.staged_size(KEY, partial.token) is None
    assert rig.area.staged_size(KEY, partial.token) is None


def test_a_staged_file_is_replaced_by_the_next_commit(rig: AreaRig) -> None:
    old = stage(rig.area, KEY, b"old")
    new = stage(rig.area, KEY, b"newer")
    assert rig.area.staged_size(KEY, old) is None
    assert staged(rig.area, KEY, new) == b"newer"


def test_a_staged_file_is_there_until_the_next_commit(rig: AreaRig) -> None:
    old = stage(rig.area, KEY, b"old")
    write_partial(rig.area, KEY, b"newer")
    assert staged(rig.area, KEY, old) == b"old"


def test_a_staged_file_is_never_taken_for_one_of_another_token(rig: AreaRig) -> None:
    stage(rig.area, KEY)
    later = write_partial(rig.area, KEY)
    rig.area.discard_partial(KEY)
    assert rig.area.staged_size(KEY, later.token) is None
    with pytest.raises(StagedFileMissing):
        rig.area.commit(KEY, later.token, later.receipt)
    with pytest.raises(StagedFileMissing), rig.area.open_staged(KEY, later.token):
        pass


def test_a_reader_sees_all_the_bytes_of_a_file_or_that_it_is_gone(rig: AreaRig) -> None:
    contents = dict[str, bytes]()
    wrong = list[str]()
    read_once, stop = threading.Event(), threading.Event()

    def read() -> None:
        while not stop.is_set():
            for token, content in list(contents.items())[-2:]:
                with suppress(StagedFileMissing):
                    if staged(rig.area, KEY, token) != content:
                        wrong.append(token)
                    read_once.set()

    with ThreadPoolExecutor(2) as threads:
        readers = [threads.submit(read) for _ in range(2)]
        for number in range(20):
            content = bytes([number]) * (100_000 + number)
            partial = write_partial(rig.area, KEY, content)
            contents[partial.token] = content
            rig.area.commit(KEY, partial.token, partial.receipt)
        assert read_once.wait(30)
        stop.set()
    assert [reader.result() for reader in readers] == [None, None]
    assert wrong == []


def test_a_staged_file_is_read_from_any_place(rig: AreaRig) -> None:
    content = CONTENT * 7
    token = stage(rig.area, KEY, content)
    with rig.area.open_staged(KEY, token) as file:
        assert file.seek(3 * MIB) == 3 * MIB
        assert file.read(10) == content[3 * MIB : 3 * MIB + 10]
        file.seek(-5, io.SEEK_END)
        assert file.read() == content[-5:]
        file.seek(0)
        assert (file.read(7), file.tell()) == (content[:7], 7)
        file.seek(len(content) + 5)
        assert file.read(3) == b""


def test_releasing_removes_the_staged_file_and_may_be_repeated(rig: AreaRig) -> None:
    token = stage(rig.area, KEY)
    rig.area.delete(KEY)
    rig.area.delete(KEY)
    assert rig.area.staged_size(KEY, token) is None


def test_releasing_leaves_the_dataset_s_other_datablocks(rig: AreaRig) -> None:
    stage(rig.area, KEY)
    others = [(name, stage(rig.area, name, b"another")) for name in (key(datablock="10"), key(datablock="2"))]
    rig.area.delete(KEY)
    assert [staged(rig.area, name, token) for name, token in others] == [b"another"] * 2


def test_releasing_leaves_the_partial(rig: AreaRig) -> None:
    partial = write_partial(rig.area, KEY)
    rig.area.delete(KEY)
    assert rig.area.partial_size(KEY, partial.token) == len(CONTENT)


def test_what_was_released_can_be_staged_again(rig: AreaRig) -> None:
    stage(rig.area, KEY)
    rig.area.delete(KEY)
    token = stage(rig.area, KEY, b"again")
    assert staged(rig.area, KEY, token) == b"again"


def test_commits_and_releases_of_one_dataset_do_not_disturb_each_other(rig: AreaRig) -> None:
    def come_and_go(name: DatablockKey) -> int | None:
        for _ in range(9):
            stage(rig.area, name, b"x")
            rig.area.delete(name)
        token = stage(rig.area, name, b"x")
        rig.area.delete(name)
        return rig.area.staged_size(name, token)

    with ThreadPoolExecutor(4) as threads:
        left = threads.map(come_and_go, [key(datablock=str(number)) for number in range(4)])
        assert list(left) == [None] * 4


def test_every_key_has_a_file_of_its_own(rig: AreaRig) -> None:
    keys = [key(*names) for names in UNUSUAL]
    tokens = [stage(rig.area, name, b"%d" % number) for number, name in enumerate(keys)]
    contents = [staged(rig.area, name, token) for name, token in zip(keys, tokens, strict=True)]
    assert contents == [b"%d" % number for number in range(len(keys))]


def test_only_the_file_of_a_token_is_released(rig: AreaRig) -> None:
    old = stage(rig.area, KEY)
    new = stage(rig.area, KEY, b"newer")
    rig.area.delete(KEY, old)
    assert staged(rig.area, KEY, new) == b"newer"
    rig.area.delete(KEY, new)
    rig.area.delete(KEY, new)
    assert rig.area.staged_size(KEY, new) is None


def test_only_the_partial_of_a_token_is_discarded(rig: AreaRig) -> None:
    token = write_partial(rig.area, KEY).token
    rig.area.discard_partial(KEY, "0123456789abcdef")
    assert rig.area.partial_size(KEY, token) == len(CONTENT)
    rig.area.discard_partial(KEY, token)
    assert rig.area.partial_size(KEY, token) is None
