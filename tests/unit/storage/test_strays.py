"""Which files of a staging area no ledger knows."""

from __future__ import annotations

from pathlib import Path

from scicat_retriever.domain.evidence import DatablockKey
from scicat_retriever.domain.ids import DatablockId, DatasetPid
from scicat_retriever.storage.staging.directory import DirectoryStaging, DirectoryStagingSettings
from scicat_retriever.storage.staging.strays import remove, strays


def key(name: str) -> DatablockKey:
    return DatablockKey(DatasetPid("20.500.12345/x"), DatablockId(name))


def staging(root: Path) -> DirectoryStaging:
    return DirectoryStaging(DirectoryStagingSettings(root=root, keep_free_bytes=0))


def put(area: DirectoryStaging, name: str, *, commit: bool) -> str:
    with area.open_partial(key(name), 3) as partial:
        partial.file.write(b"abc")
    if commit:
        area.commit(key(name), partial.token)
    return partial.token


def test_files_without_a_datablock_are_found_partial_and_staged(tmp_path: Path) -> None:
    area = staging(tmp_path / "staging")
    kept = {put(area, "a", commit=True), put(area, "b", commit=False)}
    left = {put(area, "c", commit=True), put(area, "d", commit=False)}
    found = strays(tmp_path / "staging", lambda tokens: kept & set(tokens))
    assert {path.name for path in found} == left


def test_a_removed_stray_leaves_the_others_and_no_empty_folder(tmp_path: Path) -> None:
    area = staging(tmp_path / "staging")
    kept, left = put(area, "a", commit=True), put(area, "b", commit=True)
    for path in strays(tmp_path / "staging", lambda tokens: {kept} & set(tokens)):
        remove(path)
    assert area.staged_size(key("a"), kept) == 3
    assert area.staged_size(key("b"), left) is None
    assert len(list((tmp_path / "staging" / "staged").iterdir())) == 1


def test_an_area_that_was_never_used_has_none(tmp_path: Path) -> None:
    assert list(strays(tmp_path / "absent", lambda _: set())) == []
