"""Partial files: what every staging area promises of them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress

import pytest

from scicat_retriever.domain.errors import NoSpaceYet, StagedFileMissing, StagingError
from scicat_retriever.ports.staging_area import Partial
from tests.contracts.staging.rig import (
    CAPACITY,
    CONTENT,
    KEY,
    MIB,
    AreaRig,
    key,
    stage,
    staged,
    write,
    write_partial,
)


def test_a_partial_is_not_visible_as_staged(rig: AreaRig) -> None:
    partial = write_partial(rig.area, KEY)
    assert rig.area.partial_size(KEY, partial.token) == len(CONTENT)
    assert rig.area.staged_size(KEY, partial.token) is None
    with pytest.raises(StagedFileMissing), rig.area.open_staged(KEY, partial.token):
        pass


def test_a_partial_shows_what_is_written_not_what_is_set_aside(rig: AreaRig) -> None:
    with rig.area.open_partial(KEY, 12 * MIB) as partial:
        assert rig.area.partial_size(KEY, partial.token) == 0
        write(partial, b"1234")
        partial.seal()
        assert rig.area.partial_size(KEY, partial.token) == 4


def test_nothing_is_there_at_first(rig: AreaRig) -> None:
    assert (rig.area.partial_size(KEY, "token"), rig.area.staged_size(KEY, "token")) == (None, None)


def test_a_new_partial_is_empty_and_the_only_one(rig: AreaRig) -> None:
    old = write_partial(rig.area, KEY)
    with rig.area.open_partial(KEY, 10) as partial:
        assert partial.token != old.token
        assert (rig.area.partial_size(KEY, partial.token), rig.area.partial_size(KEY, old.token)) == (0, None)


def test_a_file_of_any_size_keeps_its_bytes(rig: AreaRig) -> None:
    for size in (0, 1, 5 * MIB - 1, 5 * MIB, 5 * MIB + 1, 10 * MIB, 22 * MIB + 12345):
        content = (CONTENT * (size // len(CONTENT) + 1))[:size]
        token = stage(rig.area, KEY, content)
        assert (rig.area.staged_size(KEY, token), staged(rig.area, KEY, token)) == (size, content)


def test_a_file_longer_than_announced_keeps_its_bytes(rig: AreaRig) -> None:
    with rig.area.open_partial(KEY, 10) as partial:
        write(partial, CONTENT)
        partial.seal()
    rig.area.commit(KEY, partial.token, partial.receipt)
    assert staged(rig.area, KEY, partial.token) == CONTENT


def test_a_file_shorter_than_announced_is_committed_as_it_is(rig: AreaRig) -> None:
    with rig.area.open_partial(KEY, 5 * MIB) as partial:
        write(partial, b"short")
        partial.seal()
    rig.area.commit(KEY, partial.token, partial.receipt)
    assert staged(rig.area, KEY, partial.token) == b"short"


def test_a_buffer_may_be_used_again_once_its_bytes_were_taken(rig: AreaRig) -> None:
    buffer = bytearray(MIB)
    with rig.area.open_partial(KEY, 12 * MIB) as partial:
        for number in range(12):
            buffer[:] = bytes([number]) * MIB
            write(partial, buffer)  # type: ignore[arg-type]
        partial.seal()
    rig.area.commit(KEY, partial.token, partial.receipt)
    assert staged(rig.area, KEY, partial.token) == b"".join(bytes([number]) * MIB for number in range(12))


def test_other_bytes_have_another_receipt(rig: AreaRig) -> None:
    receipts = {write_partial(rig.area, KEY, content).receipt for content in (b"", b"one", CONTENT)}
    assert len(receipts) == 3


def test_a_writer_whose_partial_was_removed_changes_no_other_one(rig: AreaRig) -> None:
    with ExitStack() as earlier:
        stale = earlier.enter_context(rig.area.open_partial(KEY, 100))
        later = write_partial(rig.area, KEY, b"the later one wins")
        with suppress(OSError, StagingError):
            write(stale, b"x" * 100)
            stale.seal()
    assert rig.area.partial_size(KEY, stale.token) is None
    with pytest.raises(StagingError):
        rig.area.commit(KEY, stale.token, stale.receipt)
    rig.area.commit(KEY, later.token, later.receipt)
    assert staged(rig.area, KEY, later.token) == b"the later one wins"


def test_attempts_that_begin_at_once_never_share_a_file(rig: AreaRig) -> None:
    def attempt(number: int) -> bool:
        content = b"%d" % number * 1000
        with suppress(OSError, StagingError):
            partial = write_partial(rig.area, KEY, content)
            rig.area.commit(KEY, partial.token, partial.receipt)
            return staged(rig.area, KEY, partial.token) == content
        return True

    with ThreadPoolExecutor(4) as threads:
        assert all(threads.map(attempt, range(40)))


def fail_in_the_middle(rig: AreaRig, tokens: list[str]) -> None:
    def fail(partial: Partial) -> None:
        tokens.append(partial.token)
        write(partial, b"x" * 12 * MIB)
        raise ConnectionError

    with rig.area.open_partial(KEY, 12 * MIB) as partial:
        fail(partial)


def test_a_failed_copy_leaves_at_most_a_partial_that_can_be_discarded(rig: AreaRig) -> None:
    tokens = list[str]()
    with pytest.raises(ConnectionError):
        fail_in_the_middle(rig, tokens)
    assert rig.area.staged_size(KEY, tokens[0]) is None
    rig.area.discard_partial(KEY)
    rig.area.discard_partial(KEY)
    assert rig.area.partial_size(KEY, tokens[0]) is None
    assert list(rig.area.holdings()) == []


def test_a_killed_copy_leaves_nothing_visible_and_nothing_at_all_after_the_next_attempt(rig: AreaRig) -> None:
    killed = rig.kill_a_copy(KEY)
    assert rig.area.staged_size(KEY, killed) is None
    assert rig.names(staged=True) == set()
    token = stage(rig.area, KEY)
    assert rig.area.partial_size(KEY, killed) is None
    assert staged(rig.area, KEY, token) == CONTENT
    assert [each.token for each in rig.area.holdings()] == [token]


def test_discarding_partials_leaves_those_of_other_datablocks(rig: AreaRig) -> None:
    others = [(name, write_partial(rig.area, name)) for name in (key(datablock="10"), key(datablock="2"))]
    rig.area.discard_partial(KEY)
    sizes = [rig.area.partial_size(name, partial.token) for name, partial in others]
    assert sizes == [len(CONTENT)] * 2


def test_discarding_a_partial_leaves_the_staged_file(rig: AreaRig) -> None:
    token = stage(rig.area, KEY)
    write_partial(rig.area, KEY, b"again")
    rig.area.discard_partial(KEY)
    assert staged(rig.area, KEY, token) == CONTENT


def test_the_room_is_what_the_settings_allow_and_no_more_is_free(rig: AreaRig) -> None:
    room = rig.area.room()
    assert room.total == CAPACITY
    assert room.free is None or room.free > 0


def test_what_can_never_fit_is_refused_at_the_start_and_leaves_nothing(rig: AreaRig) -> None:
    with pytest.raises(NoSpaceYet, match="bytes are missing"), rig.area.open_partial(KEY, 2**60):
        pass
    assert list(rig.area.holdings()) == []
