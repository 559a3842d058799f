"""What no archive can hold is refused, with its name and why."""

from __future__ import annotations

import pytest

from scicat_retriever.computed.entries import Entry, batch_of
from scicat_retriever.computed.errors import BadEntry
from scicat_retriever.computed.names import LONGEST
from scicat_retriever.computed.tar_layout import TarLayout
from scicat_retriever.computed.zip_layout import ZipLayout
from tests.unit.computed.archives import a_file, a_folder, a_symlink

PATHS = [
    "",
    ".",
    "..",
    "/a",
    "a/",
    "a//b",
    "./a",
    "a/./b",
    "a/../b",
    "a/..",
    "a\0b",
    "\0",
    "a\udce4",
    "x" * (LONGEST + 1),
]
REFUSED = {
    **{f"path {path[:9]!r}": a_file(path) for path in PATHS},
    "folder's path": a_folder("a/"),
    "link without target": a_symlink("l", ""),
    "link to a NUL": a_symlink("l", "a\0"),
    "link that is not Unicode": a_symlink("l", "\udc80"),
    "link that is too long": a_symlink("l", "x" * (LONGEST + 1)),
    "file with a target": a_file("f")._replace(link="t"),
    "folder with content": a_folder("d")._replace(size=1),
    "link with content": a_symlink("l", "t")._replace(size=1),
    "negative size": a_file("f")._replace(size=-1),
    "crc of 33 bits": a_file("f")._replace(crc=2**32),
    "mtime beyond 64 bits": a_file("f", mtime=2**63),
}


@pytest.mark.parametrize("layout_of", [ZipLayout, TarLayout])
@pytest.mark.parametrize("case", REFUSED)
def test_it_is_refused(layout_of: type[ZipLayout | TarLayout], case: str) -> None:
    with pytest.raises(BadEntry):
        layout_of([batch_of([a_file("before"), REFUSED[case], a_file("after")])])


@pytest.mark.parametrize(
    "path", ["a", ".a", "a/.b", "...", "a/..b", "a\\b", "a:b", " ", "x" * LONGEST, "a\nb"]
)
def test_what_an_archive_can_hold_is_not(path: str) -> None:
    listed: list[Entry] = [a_file(path), a_symlink("l", "../" + path[:9]), a_folder(path[:99] + "d")]
    assert ZipLayout([batch_of(listed)]).size
    assert TarLayout([batch_of(listed)]).size


def test_the_refusal_names_the_path_and_the_reason() -> None:
    with pytest.raises(BadEntry, match=r"'caf\\udce9' cannot be written as UTF-8"):
        ZipLayout([batch_of([a_file("fine"), a_file("caf\udce9")])])
