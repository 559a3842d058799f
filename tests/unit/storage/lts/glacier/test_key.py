"""Keys from archiveIds, which come from the catalogue and are not trusted."""

from __future__ import annotations

from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scicat_retriever.domain.errors import ArchiveIdUnsafe
from scicat_retriever.domain.ids import ArchiveId
from scicat_retriever.storage.lts.glacier.key import key_of
from scicat_retriever.storage.lts.paths.archive_path import PathTemplate

PLAIN = PathTemplate("{archive_id}")
ROOT = PurePosixPath("/data/archive")


@pytest.mark.parametrize(
    "archive_id", ["a.tar", "p/a b.tar", "a%20b.tar", "ä/ö.tar", "a//b.tar", "p/", "..a/b.."]
)
def test_a_key_is_the_archive_id_as_it_is_written(archive_id: str) -> None:
    assert key_of(ArchiveId(archive_id), PLAIN, None) == archive_id


@pytest.mark.parametrize(
    "archive_id",
    ["", "..", "../a", "a/../b", "a/..", ".", "./a", "a/./b", "/a", "a\0b", "\ud800", "ä" * 513],
)
def test_what_cannot_be_a_key_or_leads_elsewhere_is_refused(archive_id: str) -> None:
    with pytest.raises(ArchiveIdUnsafe):
        key_of(ArchiveId(archive_id), PLAIN, None)


def test_the_longest_key_is_taken() -> None:
    assert key_of(ArchiveId("ä" * 512), PLAIN, None) == "ä" * 512


@pytest.mark.parametrize(
    ("archive_id", "key"),
    [("/data/archive/p/a.tar", "2026/p/a.tar"), ("p/a.tar", "2026/p/a.tar"), ("/data/archive//a", None)],
)
def test_the_catalogued_root_is_left_out_before_the_template(archive_id: str, key: str | None) -> None:
    template = PathTemplate("2026/{archive_id}")
    assert key_of(ArchiveId(archive_id), template, ROOT) == (key or "2026//a")


@pytest.mark.parametrize(
    "archive_id", ["/data/archive", "/data/archive/", "/data/archives/a", "/a", "//data/archive/a"]
)
def test_an_absolute_archive_id_outside_the_catalogued_root_is_refused(archive_id: str) -> None:
    with pytest.raises(ArchiveIdUnsafe):
        key_of(ArchiveId(archive_id), PLAIN, ROOT)


def test_a_slice_cannot_make_a_step_upwards() -> None:
    with pytest.raises(ArchiveIdUnsafe):
        key_of(ArchiveId("..a.tar"), PathTemplate("{archive_id[0:2]}/{archive_id}"), None)


@given(st.text(max_size=60), st.sampled_from([None, ROOT]))
def test_no_key_leaves_what_its_template_begins_with(archive_id: str, root: PurePosixPath | None) -> None:
    try:
        key = key_of(ArchiveId(archive_id), PathTemplate("archive/{archive_id}"), root)
    except ArchiveIdUnsafe:
        return
    assert key.startswith("archive/")
    assert not {".", ".."} & set(key.split("/"))
