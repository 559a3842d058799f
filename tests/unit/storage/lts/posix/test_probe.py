"""The words of well-known HSMs, said by programs and files that stand in for theirs."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from scicat_retriever.domain.errors import ArchiveIdUnsafe, ArchiveLost, StoreTimedOut, StoreUnavailable
from scicat_retriever.domain.ids import ArchiveId
from scicat_retriever.ports.long_term_store import AskedArchive, Locality
from scicat_retriever.storage.lts.posix.settings import PosixShareSettings
from scicat_retriever.storage.lts.posix.store import PosixShare
from tests.contracts.test_long_term_store import (
    as_ordinary_user,
    read_all,
    recall_state,
    request_recall,
    wait_for,
)

A = ArchiveId("a.tar")
OFFLINE, ONLINE = {"offline": "^OFF"}, {"online": "^ON"}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "lts"
    folder.mkdir()
    (folder / A).write_bytes(b"x" * 10_000)
    return folder


def share(root: Path, now: Callable[[], float] = time.time, **settings: object) -> PosixShare:
    return PosixShare(PosixShareSettings.model_validate({"root": root, **settings}), now)


def printing(tmp_path: Path, output: str, code: int = 0) -> str:
    """Make a program that prints a text in which `PATH` is its last argument, and notes its arguments."""
    (tmp_path / "output").write_text(output)
    program = tmp_path / "program"
    program.write_text(
        f"""#!/bin/sh
printf '%s\\n' "$@" > '{tmp_path}/arguments'
for last; do :; done
while IFS= read -r line; do case "$line" in *PATH*) printf '%s\\n' "${{line%%PATH*}}$last${{line#*PATH}}";; *) printf '%s\\n' "$line";; esac
done < '{tmp_path}/output'
exit {code}
"""
    )
    program.chmod(0o755)
    return str(program)


GPFS = """\
file name:            PATH
metadata replication: 2 max 2
immutable:            no
flags:
storage pool name:    system
Misc attributes:      {}
Encrypted:            no
"""


@pytest.mark.parametrize(
    ("kind", "output", "expected"),
    [
        ("lustre", "PATH: (0x00000000)\n", Locality.ONLINE),
        ("lustre", "PATH: (0x00000009) exists archived, archive_id:1\n", Locality.ONLINE),
        ("lustre", "PATH: (0x0000000d) released exists archived, archive_id:1\n", Locality.OFFLINE),
        ("lustre", "PATH: (0x00000049) exists archived lost_from_hsm, archive_id:1\n", Locality.ONLINE),
        ("gpfs", GPFS.format("ARCHIVE"), Locality.ONLINE),
        ("gpfs", GPFS.format("ARCHIVE OFFLINE"), Locality.OFFLINE),
        ("dmf", "REG\n", Locality.ONLINE),
        ("dmf", "DUL\n", Locality.ONLINE),
        ("dmf", "MIG\n", Locality.ONLINE),
        ("dmf", "OFL\n", Locality.OFFLINE),
        ("dmf", "PAR\n", Locality.OFFLINE),
        ("dmf", "UNM\n", Locality.RECALLING),
    ],
)
def test_a_preset_knows_what_its_hsm_prints(
    root: Path, tmp_path: Path, kind: str, output: str, expected: Locality
) -> None:
    program = printing(tmp_path, output)
    state = recall_state(share(root, probe={"kind": kind, "program": program}), A)
    assert (state.locality, state.size, str(root) in state.reason) == (expected, 10_000, False)


def test_what_lustre_released_and_its_hsm_lost_is_lost(root: Path, tmp_path: Path) -> None:
    said = "(0x0000004d) released exists archived lost_from_hsm, archive_id:1"
    store = share(root, probe={"kind": "lustre", "program": printing(tmp_path, f"PATH: {said}\n")})
    with pytest.raises(ArchiveLost, match=r"^the long-term store lost a\.tar: [^/]*lost_from_hsm") as lost:
        recall_state(store, A)
    assert str(root) not in str(lost.value)


@pytest.mark.parametrize(
    ("kind", "arguments"),
    [("lustre", ["hsm_state"]), ("gpfs", ["-L"]), ("dmf", ["-a", "state"])],
)
def test_a_preset_gives_its_program_the_absolute_path(
    root: Path, tmp_path: Path, kind: str, arguments: list[str]
) -> None:
    (root / "link.tar").symlink_to(A)
    store = share(root, probe={"kind": kind, "program": printing(tmp_path, "")})
    with pytest.raises(StoreUnavailable):
        recall_state(store, "link.tar")
    assert (tmp_path / "arguments").read_text().splitlines() == [*arguments, str(root / A)]


@pytest.mark.parametrize(
    "name", ["released.tar", "a: (0x0000000d) released exists.tar", "x\nMisc attributes: OFFLINE", "a\nOFL"]
)
@pytest.mark.parametrize(
    ("kind", "output"),
    [("lustre", "PATH: (0x00000009) exists archived\n"), ("gpfs", GPFS.format("ARCHIVE")), ("dmf", "DUL\n")],
)
def test_an_archive_s_name_is_never_taken_for_its_state(
    root: Path, tmp_path: Path, kind: str, output: str, name: str
) -> None:
    (root / name).write_bytes(b"content")
    store = share(root, probe={"kind": kind, "program": printing(tmp_path, output)})
    assert recall_state(store, name).locality is Locality.ONLINE


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("ONLINE\n", Locality.ONLINE),
        ("ONLINE_AND_NEARLINE\n", Locality.ONLINE),
        ("NEARLINE\n", Locality.OFFLINE),
    ],
)
def test_the_dot_command_of_dcache_is_read_beside_the_file(root: Path, said: str, expected: Locality) -> None:
    (root / ".(get)(a.tar)(locality)").write_text(said)
    state = recall_state(share(root, probe={"kind": "dcache"}), A)
    assert (state.locality, state.reason.split()[-1]) == (
        expected,
        {Locality.OFFLINE: "NEARLINE"}.get(expected, said.strip()),
    )


def test_what_dcache_lost_is_lost(root: Path) -> None:
    (root / ".(get)(a.tar)(locality)").write_text("LOST\n")
    with pytest.raises(ArchiveLost, match=r"^the long-term store lost a\.tar: LOST$"):
        recall_state(share(root, probe={"kind": "dcache"}), A)


def test_what_is_lost_is_waited_for_while_its_file_was_changed_a_moment_ago(root: Path) -> None:
    (root / ".(get)(a.tar)(locality)").write_text("LOST\n")
    (root / A).touch()
    state = recall_state(share(root, probe={"kind": "dcache"}, settle_seconds=3600), A)
    assert state.locality is Locality.RECALLING


def test_what_dcache_cannot_give_at_the_moment_is_unavailable(root: Path) -> None:
    (root / ".(get)(a.tar)(locality)").write_text("UNAVAILABLE\n")
    with pytest.raises(StoreUnavailable, match="UNAVAILABLE"):
        recall_state(share(root, probe={"kind": "dcache"}), A)


def test_a_file_system_without_dot_commands_is_told(root: Path) -> None:
    with pytest.raises(StoreUnavailable, match="is this file system dCache"):
        recall_state(share(root, probe={"kind": "dcache"}), A)


def test_a_dot_command_is_no_way_out_of_the_share(root: Path) -> None:
    (root.parent / "secret").write_text("ONLINE")
    (root / ".(get)(a.tar)(locality)").symlink_to("../secret")
    with pytest.raises(StoreUnavailable):
        recall_state(share(root, probe={"kind": "dcache"}), A)


@pytest.fixture
def with_attributes(root: Path) -> Path:
    try:
        os.setxattr(root / A, "user.hsm.state", b"OFFLINE since today\0")
    except OSError as error:
        pytest.skip(f"no extended attributes here: {error}")
    return root


def test_an_extended_attribute_says_where_a_file_is(with_attributes: Path) -> None:
    probe = {"kind": "xattr", "name": "user.hsm.state", "words": OFFLINE | ONLINE}
    state = recall_state(share(with_attributes, probe=probe), A)
    assert (state.locality, state.reason) == (Locality.OFFLINE, "OFFLINE since today")


@pytest.mark.parametrize(("absent", "expected"), [(None, Locality.ONLINE), ("offline", Locality.OFFLINE)])
def test_a_file_without_the_attribute_is_where_the_settings_say_or_its_blocks(
    with_attributes: Path, absent: str | None, expected: Locality
) -> None:
    probe = {"kind": "xattr", "name": "user.other", "words": OFFLINE, "absent": absent}
    assert recall_state(share(with_attributes, probe=probe), A).locality is expected


@pytest.mark.parametrize("absent", [None, "online"])
def test_an_attribute_that_the_service_may_not_see_is_never_taken_for_absent(
    absent: str | None,
) -> None:
    """Without CAP_SYS_ADMIN Linux says of every `trusted.` attribute that it is not there."""
    probe = {"kind": "xattr", "name": "trusted.hsm", "words": OFFLINE | ONLINE, "absent": absent}
    with tempfile.TemporaryDirectory() as folder, as_ordinary_user(Path(folder)):
        (Path(folder) / A).write_bytes(b"content")
        with pytest.raises(StoreUnavailable, match="cannot be read without CAP_SYS_ADMIN"):
            share(Path(folder), probe=probe).recall_states([AskedArchive(A)])


def test_an_attribute_that_only_administrators_see_is_read_by_one(root: Path) -> None:
    try:
        os.setxattr(root / A, "trusted.hsm", b"OFFLINE")
    except OSError as error:
        pytest.skip(f"this user may set no such attribute: {error}")
    (root / "b.tar").write_bytes(b"content")
    probe = {"kind": "xattr", "name": "trusted.hsm", "words": OFFLINE | ONLINE, "absent": "online"}
    store = share(root, probe=probe)
    assert recall_state(store, A).locality is Locality.OFFLINE
    assert recall_state(store, "b.tar").locality is Locality.ONLINE


def command(script: str) -> dict[str, Any]:
    return {
        "kind": "command",
        "command": ["/bin/sh", "-c", script, "sh", "{path}"],
        "words": OFFLINE | ONLINE,
    }


def test_the_hsm_s_word_counts_and_not_the_blocks(root: Path) -> None:
    (root / "stub.tar").touch()
    os.truncate(root / "stub.tar", 10**6)
    assert recall_state(share(root, probe=command("echo ON")), "stub.tar").locality is Locality.ONLINE
    assert recall_state(share(root, probe=command("echo OFF")), A).locality is Locality.OFFLINE


def test_a_probe_that_hangs_is_a_store_that_timed_out(root: Path) -> None:
    begun = time.monotonic()
    with pytest.raises(StoreTimedOut):
        recall_state(share(root, probe=command("sleep 60"), answer_timeout=0.3), A)
    assert time.monotonic() - begun < 10


def test_a_probe_that_fails_for_one_file_keeps_no_other_from_an_answer(root: Path) -> None:
    (root / "bad.tar").touch()
    store = share(root, probe=command('case "$1" in *bad*) exit 1;; esac; echo ON'))
    answers = store.recall_states([AskedArchive(ArchiveId("bad.tar")), AskedArchive(A)])
    assert isinstance(answers[ArchiveId("bad.tar")], StoreUnavailable)
    assert getattr(answers[A], "locality", None) is Locality.ONLINE


@pytest.mark.parametrize("script", ["exit 75", "echo no licence; exit 9", "echo neither"])
def test_what_a_probe_says_of_one_file_alone_is_no_word_on_the_whole_share(root: Path, script: str) -> None:
    probe = command(script)
    probe["words"] |= {"exit_codes": {75: "unavailable"}}
    (root / "b.tar").touch()
    store = share(root, probe=probe)
    assert isinstance(store.recall_states([AskedArchive(A)])[A], StoreUnavailable)
    assert isinstance(store.request_recalls([A])[A], StoreUnavailable)
    with pytest.raises(StoreUnavailable):
        store.recall_states([AskedArchive(A), AskedArchive(ArchiveId("b.tar"))])


def test_a_probe_that_is_not_there_is_told_of_the_whole_share(root: Path) -> None:
    probe = {"kind": "gpfs", "program": "/not/there"}
    with pytest.raises(StoreUnavailable, match="cannot be started"):
        share(root, probe=probe).recall_states([AskedArchive(A)])


@pytest.mark.parametrize("name", ["OFF.tar", "x/OFF"])
@pytest.mark.parametrize("said", ["$1 is ON", "$2 is ON", "${1##*/} is ON"])
def test_the_archive_id_and_the_file_s_name_are_never_taken_for_its_state(
    root: Path, name: str, said: str
) -> None:
    (root / "kept" / name).parent.mkdir(parents=True)
    (root / "kept" / name).touch()
    arguments = ["/bin/sh", "-c", f'echo "{said}"', "sh", "{path}", "{archive_id}"]
    probe = {"kind": "command", "command": arguments, "words": {"offline": "OFF", "online": "ON$"}}
    store = share(root, probe=probe, path_template="kept/{archive_id}")
    assert recall_state(store, name).locality is Locality.ONLINE


# Recalls by a command


def recalling(tmp_path: Path, script: str, field: str = "{path}") -> dict[str, Any]:
    program = tmp_path / "recall"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return {"recall_command": [str(program), field], "probe": command(f"cat '{tmp_path}/state'")}


def test_a_recall_command_is_given_the_file_s_path_and_nothing_is_read(root: Path, tmp_path: Path) -> None:
    (tmp_path / "state").write_text("OFF")
    store = share(root, **recalling(tmp_path, f"echo \"$1\" >> '{tmp_path}/asked'"))
    request_recall(store, A)
    wait_for(lambda: (tmp_path / "asked").exists() and (tmp_path / "asked").read_text() == f"{root / A}\n")
    assert recall_state(store, A).locality is Locality.RECALLING
    (tmp_path / "state").write_text("ON")
    assert recall_state(store, A).locality is Locality.ONLINE
    assert read_all(store, A, start=9_990) == b"x" * 10


def test_one_recall_command_takes_a_list_of_all_that_is_on_tape(root: Path, tmp_path: Path) -> None:
    names = [ArchiveId(f"{number} $(x).tar") for number in (3, 1, 2)]
    for name in names:
        (root / name).touch()
    (tmp_path / "state").write_text("OFF")
    settings = recalling(tmp_path, f"cat \"$1\" >> '{tmp_path}/asked'", "{paths_file}")
    share(root, **settings).request_recalls(names)
    wait_for((tmp_path / "asked").exists)
    wait_for(lambda: (tmp_path / "asked").read_text().splitlines() == [str(root / name) for name in names])


def test_a_name_with_a_line_break_goes_into_no_list_and_keeps_no_other_out(
    root: Path, tmp_path: Path
) -> None:
    (root / "b\nc.tar").touch()
    (tmp_path / "state").write_text("OFF")
    store = share(root, **recalling(tmp_path, f"cat \"$1\" > '{tmp_path}/asked'", "{paths_file}"))
    answers = store.request_recalls([ArchiveId("b\nc.tar"), A])
    assert isinstance(answers[ArchiveId("b\nc.tar")], ArchiveIdUnsafe)
    wait_for((tmp_path / "asked").exists)
    wait_for(lambda: (tmp_path / "asked").read_text() == f"{root / A}\n")


def test_a_recall_command_that_fails_is_told_and_may_be_asked_again(root: Path, tmp_path: Path) -> None:
    (tmp_path / "state").write_text("OFF")
    store = share(root, **recalling(tmp_path, "echo the robot is stuck >&2; exit 1"))
    for _ in range(2):
        request_recall(store, A)
        wait_for(lambda: recall_state(store, A).locality is Locality.OFFLINE)
        assert "the robot is stuck" in recall_state(store, A).reason


def test_a_recall_of_which_nothing_is_to_be_seen_is_offline_again_after_a_while(
    root: Path, tmp_path: Path
) -> None:
    clock = [0.0]
    (tmp_path / "state").write_text("OFF")
    store = share(root, lambda: clock[0], ask_again_after=100, **recalling(tmp_path, "exit 0"))
    request_recall(store, A)
    wait_for(lambda: not store._recalls.last(A).under_way)
    clock[0] = 99
    assert recall_state(store, A).locality is Locality.RECALLING
    clock[0] = 100
    assert recall_state(store, A).locality is Locality.OFFLINE


@pytest.mark.parametrize(
    "wrong",
    [
        {"probe": {"kind": "command", "command": ["hsm"], "words": {"online": "x"}}},
        {"probe": {"kind": "command", "command": ["hsm", "{paths_file}"], "words": {"online": "x"}}},
        {"probe": {"kind": "command", "command": ["hsm", "{path}"], "words": {}}},
        {"probe": {"kind": "dot_command", "file": "state", "words": {"online": "x"}}},
        {"probe": {"kind": "dot_command", "file": "../{name}", "words": {"online": "x"}}},
        {"probe": {"kind": "castor"}},
        {"recall_command": ["hsm"]},
        {"recall_command": ["hsm", "{archive_id}"]},
        {"recall_timeout": 0},
        {"must_exist": "/lts/.mounted"},
        {"must_exist": "there/../../.mounted"},
    ],
)
def test_settings_that_cannot_be_used_are_refused_and_the_key_is_named(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match=next(iter(wrong))):
        PosixShareSettings.model_validate({"root": "/lts", **wrong})
