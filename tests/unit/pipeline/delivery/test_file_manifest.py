"""`manifest.json`: what it says, and that it is JSON whatever things are called."""

from __future__ import annotations

import base64
import hashlib
import json
import tarfile
import zlib
from typing import Any

from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from scicat_retriever.domain.errors import RetrieverError
from scicat_retriever.domain.ids import DatasetPid
from scicat_retriever.pipeline.delivery.contents import Contents
from scicat_retriever.pipeline.delivery.file_manifest import Head, file_manifest
from scicat_retriever.pipeline.tools.checksum_policy import ChecksumPolicy
from tests.unit.pipeline.delivery.test_contents import (
    MTIME,
    Q,
    contents,
    member,
    stage,
    tar_of,
    unzipped,
)
from tests.unit.pipeline.rig import JOB, PID, Rig, entries, without_checksums

HEAD = Head("1.2.3", JOB, (DatasetPid("20.500.12345/missing"),))


def told(held: Contents) -> Any:
    return json.loads(b"".join(file_manifest(held, HEAD)).decode())


def test_it_says_of_each_file_all_that_is_known() -> None:
    rig = Rig()
    stage(rig, [member("run/a.h5", b"one"), member("b:c", b"")])
    stage(rig, [member("run/a.h5", b"two")], pid=Q)
    made = told(contents(rig, {PID: "first", Q: "second"}))
    assert [made[name] for name in ("format", "version", "service", "job", "missing")] == [
        "scicat-retriever-manifest",
        1,
        "1.2.3",
        JOB,
        ["20.500.12345/missing"],
    ]
    assert [(each["pid"], each["folder"], each["compared"]) for each in made["datasets"]] == [
        (PID, "first", "checksum"),
        (Q, "second", "checksum"),
    ]
    assert made["datasets"][0]["retrieved"] == "2026-03-01T12:00:00Z"
    assert [(each["dataset"], each["id"], each["compared"]) for each in made["datablocks"]] == [
        (PID, "block-0", "checksum"),
        (Q, "block-0", "checksum"),
    ]
    assert made["files"][0] == {
        "path": "first/run/a.h5",
        "size": 3,
        "mtime": "2023-11-14T22:13:20Z",
        "checksums": {"sha256": hashlib.sha256(b"one").hexdigest()},
        "crc32": f"{zlib.crc32(b'one'):08x}",
        "datablock": "block-0",
    }
    altered = made["files"][1]
    assert altered["path"].startswith("first/b_c~")
    assert altered["original"] == "b:c"
    assert made["lists"] == [{"name": "SHA256SUMS", "algorithm": "sha256", "files": 3}]
    assert (made["fileCount"], made["bytes"], made["filesComparedBySizeAlone"]) == (3, 6, 0)


def test_folders_and_links_are_told_as_what_they_are() -> None:
    rig = Rig()
    members = [
        member("a", b"one"),
        member("empty", type=tarfile.DIRTYPE),
        member("link", type=tarfile.SYMTYPE, linkname="a"),
        member("same", type=tarfile.LNKTYPE, linkname="a"),
    ]
    stage(rig, members)
    made = told(contents(rig, {PID: "d"}))
    by_path = {each["path"]: each for each in made["files"]}
    assert by_path["d/empty"]["kind"] == "folder"
    assert (by_path["d/link"]["kind"], by_path["d/link"]["target"]) == ("symlink", "a")
    assert by_path["d/same"]["checksums"] == by_path["d/a"]["checksums"]
    assert (made["fileCount"], made["folderCount"], made["linkCount"]) == (2, 1, 1)


def test_it_says_what_is_in_no_list_and_why() -> None:
    rig = Rig(policy=ChecksumPolicy(missing_checksum="size_only", also_hash=("xxh3-64",)))
    packed = tar_of([member("a", b"one")])
    rig.staged_dataset(rig.archive(content=packed, listed=without_checksums({"a": b"one"}), algorithm=None))
    stage(rig, [member("b", b"two")], pid=Q)
    made = told(contents(rig, {PID: "first", Q: "second"}))
    assert [each["compared"] for each in made["datasets"]] == ["size", "checksum"]
    assert [each["compared"] for each in made["datablocks"]] == ["size", "checksum"]
    assert made["lists"] == [{"name": "SHA256SUMS", "algorithm": "sha256", "files": 1}]
    assert (made["algorithmsWithoutList"], made["filesComparedBySizeAlone"]) == (["xxh3-64"], 1)


def test_names_that_are_no_utf_8_and_far_times_are_told_all_the_same() -> None:
    rig = Rig()
    name = b"gr\xf6\xdfe".decode("utf-8", "surrogateescape")
    stage(rig, [member(name, b"one", mtime=1 << 50)])
    (its,) = told(contents(rig, {PID: "d"}))["files"]
    assert base64.b64decode(its["originalBase64"]) == b"gr\xf6\xdfe"
    assert its["original"] == "gr\ufffd\ufffde"
    assert its["mtime"] == "2242-03-16T12:56:31Z"


def test_a_folder_of_any_name_leaves_it_json() -> None:
    rig = Rig()
    stage(rig, [member("a", b"one")])
    folder = 'quoted "\\" and\nbroken'
    (its,) = told(contents(rig, {PID: folder}))["files"]
    assert its["path"] == f"{folder}/a"


def test_nothing_selected_is_still_a_manifest() -> None:
    rig = Rig()
    stage(rig, [member("a", b"one")])
    made = told(contents(rig, {PID: "d"}, wanted=lambda _: False))
    assert (made["files"], made["fileCount"]) == ([], 0)


NAMES = st.lists(
    st.text(
        st.characters(exclude_characters="\0/", exclude_categories=["Cs"]), min_size=1, max_size=40
    ).filter(lambda name: name not in {".", ".."}),
    min_size=1,
    max_size=5,
    unique=True,
)


@settings(max_examples=40, suppress_health_check=list(HealthCheck), deadline=None)
@given(names=NAMES, folder=st.text(st.characters(exclude_categories=["Cs"]), max_size=20))
def test_whatever_files_are_called_it_is_json_and_names_what_the_zip_holds(
    names: list[str], folder: str
) -> None:
    rig = Rig()
    files = {name: name.encode() for name in names}
    block = rig.archive(content=tar_of([member(*item) for item in files.items()]), listed=entries(files))
    try:
        rig.staged_dataset(block)
    except RetrieverError:
        assume(False)  # such names are refused long before
    held = contents(rig, {PID: "d"}, f"/{folder}")
    made = told(held)
    assert {each["path"] for each in made["files"]} == set(unzipped(rig, held))
    assert {each.get("original", each["path"].removeprefix("d/")) for each in made["files"]} == set(names)
    assert {each["mtime"] for each in made["files"]} == {"2023-11-14T22:13:20Z"}
    assert MTIME == 1_700_000_000
    assert b"".join(file_manifest(held, HEAD)).count(b"\n") >= len(names)
