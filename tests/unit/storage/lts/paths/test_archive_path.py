from __future__ import annotations

from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scicat_retriever.domain.errors import ArchiveIdUnsafe
from scicat_retriever.domain.ids import ArchiveId
from scicat_retriever.storage.lts.paths.archive_path import PathTemplate, path_below_root

ROOT = PurePosixPath("/lts")


def path(archive_id: str, template: str = "{archive_id}", root: PurePosixPath = ROOT) -> str:
    return "/".join(path_below_root(ArchiveId(archive_id), PathTemplate(template), root))


@pytest.mark.parametrize(
    ("template", "archive_id", "expected"),
    [
        ("{archive_id}", "a.tar", "a.tar"),
        ("{archive_id}.tar", "a", "a.tar"),
        ("{archive_id[0:2]}/{archive_id}", "abcd", "ab/abcd"),
        ("{archive_id[-2:]}/{archive_id}.tar", "abcd", "cd/abcd.tar"),
        ("{archive_id[:2]}/{archive_id[2:]}", "abcd", "ab/cd"),
        ("blocks/{archive_id}", "x/y z.tar", "blocks/x/y z.tar"),
        ("{archive_id}", "./a//b.tar", "a/b.tar"),
        ("{archive_id}", "100%25 ä.tar", "100%25 ä.tar"),
        ("{archive_id}", "{archive_id.__class__}", "{archive_id.__class__}"),
    ],
)
def test_the_template_gives_the_path(template: str, archive_id: str, expected: str) -> None:
    assert path(archive_id, template) == expected


@pytest.mark.parametrize(
    "template",
    [
        "",
        "fixed.tar",
        "{archive_id.__class__}",
        "{archive_id!r}{archive_id}",
        "{archive_id[0]}{archive_id}",
        "{other}/{archive_id}",
        "{archive_id",
        "archive_id}",
        "{}{archive_id}",
        "/lts/{archive_id}",
        "../{archive_id}",
        "{archive_id[0:2]}",
        "{archive_id[0:2]}{archive_id[3:]}",
        "{archive_id[1:]}",
        "a\0{archive_id}",
    ],
)
def test_a_template_that_is_unsafe_or_loses_characters_is_refused(template: str) -> None:
    with pytest.raises(ValueError, match=r"archive_id|template"):
        PathTemplate(template)


def test_an_absolute_archive_id_below_the_root_is_the_path_itself() -> None:
    assert path("/lts/a b/tar-0002.tar", "{archive_id[0:2]}/{archive_id}.tar") == "a b/tar-0002.tar"


def test_an_absolute_archive_id_may_begin_with_another_root_than_ours() -> None:
    assert path("/tape/x/a.tar", root=PurePosixPath("/tape/x")) == "a.tar"


@pytest.mark.parametrize(
    "archive_id",
    ["/lts", "/lts/", "/ltsx/a.tar", "/a.tar", "/lts/../a.tar", "", ".", "/", "a/..", "\0", "a\ud800"],
)
def test_an_archive_id_that_names_no_file_below_the_root_is_refused(archive_id: str) -> None:
    with pytest.raises(ArchiveIdUnsafe):
        path(archive_id)


def test_a_slice_that_makes_two_dots_is_refused() -> None:
    with pytest.raises(ArchiveIdUnsafe):
        path("..hidden", "{archive_id[0:2]}/{archive_id}")


@pytest.mark.parametrize(
    "archive_id", [".(access)(0000A1B2)", "run/.(id)(x)/a.tar", "/lts/.(get)(a)(locality)"]
)
def test_a_dot_command_of_dcache_is_no_archive(archive_id: str) -> None:
    with pytest.raises(ArchiveIdUnsafe, match="dCache"):
        path(archive_id)


@pytest.mark.parametrize("archive_id", [".hidden(1)", "a.(b)", "(a)"])
def test_other_names_with_dots_and_parentheses_are_archives(archive_id: str) -> None:
    assert path(archive_id) == archive_id


@given(st.text(alphabet=st.sampled_from("./a\0ä%{ \ud800")) | st.text())
def test_no_archive_id_makes_a_path_that_climbs(archive_id: str) -> None:
    try:
        steps = path_below_root(ArchiveId(archive_id), PathTemplate("{archive_id[0:2]}/{archive_id}"), ROOT)
    except ArchiveIdUnsafe:
        return
    assert steps
    assert all(step not in {"", ".", ".."} and "/" not in step and "\0" not in step for step in steps)


@given(st.text(alphabet="ab", min_size=1), st.text(alphabet="ab", min_size=1))
def test_different_archive_ids_have_different_paths(one: str, other: str) -> None:
    template = "{archive_id[-2:]}/{archive_id}"
    assert (path(one, template) == path(other, template)) == (one == other)
