"""What archives of retrievals contain, read out of real staged tars."""

from __future__ import annotations

import io
import tarfile
import zipfile
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scicat_retriever.computed.layout import Layout
from scicat_retriever.computed.tar_layout import TarLayout
from scicat_retriever.computed.zip_layout import ZipLayout
from scicat_retriever.domain.errors import LinkReleased
from scicat_retriever.domain.ids import DatasetPid
from scicat_retriever.domain.states import DatablockState
from scicat_retriever.pipeline.delivery.contents import Contents, needed_of, sources
from tests.unit.pipeline.rig import PID, Rig, entries

Q = DatasetPid("20.500.12345/q")
MTIME = 1_700_000_000


def member(name: str, content: bytes | None = None, **values: Any) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.size, info.mtime = len(content or b""), MTIME
    for key, value in values.items():
        setattr(info, key, value)
    return info, content or b""


def tar_of(members: Sequence[tuple[tarfile.TarInfo, bytes]]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as made:
        for info, content in members:
            made.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def stage(
    rig: Rig, members: Sequence[tuple[tarfile.TarInfo, bytes]], number: int = 0, pid: DatasetPid = PID
) -> None:
    files = {info.name: content for info, content in members if info.isreg()}
    links = {info.name: files[info.linkname] for info, _ in members if info.islnk()}
    block = rig.archive(number, pid, content=tar_of(members), listed=entries({**files, **links}))
    rig.staged_dataset(block, pid=pid)


def contents(
    rig: Rig, folders: Mapping[DatasetPid, str], folder: str | None = None, wanted: Any = None
) -> Contents:
    needed = needed_of(folders, dict.fromkeys(folders, folder), rig.ledger.datablocks.of)
    return Contents(sources(needed, rig.ledger, lambda _: None), wanted)


def read(layout: Layout, held: Contents, rig: Rig, start: int = 0, stop: int | None = None) -> bytes:
    whole = []
    for piece in layout.pieces(start, layout.size if stop is None else stop):
        if isinstance(piece, bytes):
            whole.append(piece)
            continue
        record = held.sources[piece.source].record
        with rig.staging.open_staged(record.key, record.partial) as file:
            file.seek(piece.offset)
            whole.append(file.read(piece.length))
    return b"".join(whole)


def unzipped(rig: Rig, held: Contents) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(read(ZipLayout(held), held, rig))) as made:
        assert made.testzip() is None
        return {info.filename: made.read(info) for info in made.infolist()}


def untarred(rig: Rig, held: Contents) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(read(TarLayout(held), held, rig))) as made:
        return {
            info.name + "/" * info.isdir(): info.linkname.encode()
            if info.issym()
            else made.extractfile(info).read()  # type: ignore[union-attr]
            if info.isreg()
            else b""
            for info in made.getmembers()
        }


def test_an_archive_holds_the_files_of_several_datasets_each_in_its_folder() -> None:
    rig = Rig()
    stage(rig, [member("run/a.h5", b"one"), member("b", b"")])
    stage(rig, [member("run/a.h5", b"two")], pid=Q)
    held = contents(rig, {PID: "first", Q: "second"})
    expected = {"first/run/a.h5": b"one", "first/b": b"", "second/run/a.h5": b"two"}
    assert unzipped(rig, held) == untarred(rig, held) == expected


def test_folders_come_where_they_are_empty_and_links_as_what_they_are() -> None:
    rig = Rig()
    stage(
        rig,
        [
            member("run", type=tarfile.DIRTYPE),
            member("run/empty", type=tarfile.DIRTYPE),
            member("run/a", b"content"),
            member("run/same", type=tarfile.LNKTYPE, linkname="run/a"),
            member("run/again", type=tarfile.LNKTYPE, linkname="run/a"),
            member("run/to a", type=tarfile.SYMTYPE, linkname="a"),
        ],
    )
    held = contents(rig, {PID: "d"})
    expected = {
        "d/run/empty/": b"",
        "d/run/a": b"content",
        "d/run/same": b"content",
        "d/run/again": b"content",
        "d/run/to a": b"a",
    }
    assert unzipped(rig, held) == untarred(rig, held) == expected


def test_a_hard_link_is_found_whichever_page_of_the_manifest_names_it() -> None:
    rig = Rig()
    many = [member(f"{number:04d}", b"") for number in range(4096)]
    links = [
        member("one", type=tarfile.LNKTYPE, linkname="a"),
        member("two", type=tarfile.LNKTYPE, linkname="b"),
    ]
    stage(rig, [member("a", b"first"), member("b", b"second"), *many, *links])
    held = contents(rig, {PID: "d"})
    assert len(held) == 2
    found = unzipped(rig, held)
    assert (found["d/one"], found["d/two"]) == (b"first", b"second")
    assert len(found) == 4100


@pytest.mark.parametrize("before", ["data/p/", "./data/p/"])
def test_the_source_folder_is_cut_from_what_all_lies_below_it(before: str) -> None:
    rig = Rig()
    stage(
        rig,
        [member("data", type=tarfile.DIRTYPE), member(f"{before}run/a", b"1"), member(f"{before}b", b"2")],
    )
    held = contents(rig, {PID: "d"}, "/data/p")
    assert unzipped(rig, held) == {"d/run/a": b"1", "d/b": b"2"}


def test_nothing_is_cut_where_something_lies_beside_the_source_folder() -> None:
    rig = Rig()
    stage(rig, [member("data/p/a", b"1"), member("data/q", b"2")])
    held = contents(rig, {PID: "d"}, "/data/p")
    assert unzipped(rig, held) == {"d/data/p/a": b"1", "d/data/q": b"2"}


def test_a_selection_holds_what_is_wanted_alone() -> None:
    rig = Rig()
    stage(rig, [member("run", type=tarfile.DIRTYPE), member("run/a", b"1"), member("b", b"2")])
    assert unzipped(rig, contents(rig, {PID: "d"}, wanted=lambda path: path == "run/a")) == {"d/run/a": b"1"}


def test_names_that_a_system_refuses_are_altered_and_stay_different() -> None:
    rig = Rig()
    stage(rig, [member("a:b", b"1"), member("a?b", b"2"), member("con", b"3")])
    found = unzipped(rig, contents(rig, {PID: "d"}))
    assert sorted(found.values()) == [b"1", b"2", b"3"]
    assert not any(each in name for name in found for each in ":?")


def test_what_is_not_staged_any_more_is_refused() -> None:
    rig = Rig()
    stage(rig, [member("a", b"1")])
    (record,) = rig.ledger.datablocks.of(PID)
    rig.ledger.datablocks.move(record.key, DatablockState.PLANNED, "its staged file is gone")
    with pytest.raises(LinkReleased):
        contents(rig, {PID: "d"})


NAMES = st.lists(
    st.sampled_from(["a", "b", "run/a", "run/b c", "run/x/y", "ü", "e/f/g/h"]), unique=True, max_size=7
)


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(NAMES, min_size=1, max_size=3), st.data())
def test_any_datasets_come_out_as_they_went_in_and_any_range_is_that_of_the_whole(
    datasets: list[list[str]], data: st.DataObject
) -> None:
    rig = Rig()
    expected: dict[str, bytes] = {}
    pids = [DatasetPid(f"20.500.12345/{number}") for number in range(len(datasets))]
    for pid, names in zip(pids, datasets, strict=True):
        files = {name: data.draw(st.binary(max_size=2000)) for name in names}
        stage(rig, [member(name, content) for name, content in files.items()] or [member("z", b"z")], pid=pid)
        expected |= {f"{pid[-1]}/{name}": content for name, content in (files or {"z": b"z"}).items()}
    held = contents(rig, {pid: pid[-1] for pid in pids})
    assert unzipped(rig, held) == untarred(rig, held) == expected
    for layout in (ZipLayout(held), TarLayout(held)):
        whole = read(layout, held, rig)
        start = data.draw(st.integers(0, len(whole)))
        stop = data.draw(st.integers(start, len(whole)))
        assert read(layout, held, rig, start, stop) == whole[start:stop]
