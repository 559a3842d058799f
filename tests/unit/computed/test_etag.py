"""The tag of an archive changes with all that decides its bytes, and with nothing else."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from scicat_retriever.computed.entries import Entry, EntryKind, batch_of
from scicat_retriever.computed.tar_layout import TarLayout
from scicat_retriever.computed.zip_layout import ZipLayout
from tests.examples import examples
from tests.unit.computed.archives import NOON, STAGED, a_file, a_folder, a_symlink, entries, read, split

FILE = a_file("d/one", STAGED[0][:100])
CHANGES = {
    "path": FILE._replace(path="d/onf"),
    "kind": a_folder("d/one"),
    "size": FILE._replace(size=99),
    "crc": FILE._replace(crc=FILE.crc ^ 1),
    "mtime": FILE._replace(mtime=NOON + 1),
    "digest": FILE._replace(digest="ac"),
    "link": a_symlink("d/one", "elsewhere"),
}
KEPT_ZIP = (
    "zip-1-358effa08cac2e2d85fc4811f248b8ab5c5020bdd47072a4b5d38ac5d9533ac3",
    "4d093215b1bc174e44bad5e1ba7184155ef04e820efed3466784669b9d20df05",
)
KEPT_TAR = (
    "tar-1-358effa08cac2e2d85fc4811f248b8ab5c5020bdd47072a4b5d38ac5d9533ac3",
    "549701cb4f2dac9686436d7094d8921d4febc1a7a1a5c5c4966605690867311c",
)
AROUND = a_file("a"), a_file("z")


def tags(*listed: Entry) -> tuple[str, str]:
    return ZipLayout([batch_of(listed)]).etag, TarLayout([batch_of(listed)]).etag


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_of_an_entry_changes_the_tag(change: str) -> None:
    before, after = (tags(AROUND[0], entry, AROUND[1]) for entry in (FILE, CHANGES[change]))
    assert not {*before} & {*after}


def test_the_target_of_a_link_changes_the_tag() -> None:
    assert not {*tags(a_symlink("l", "one"))} & {*tags(a_symlink("l", "two"))}


def test_where_a_content_lies_does_not_change_the_tag() -> None:
    assert tags(FILE) == tags(FILE._replace(source=1, offset=77))


def test_the_order_of_entries_changes_the_tag() -> None:
    assert not {*tags(*AROUND)} & {*tags(*reversed(AROUND))}


def test_zip_and_tar_have_different_tags() -> None:
    as_zip, as_tar = tags(FILE)
    assert as_zip != as_tar


@pytest.mark.parametrize(("layout_of", "tag", "sha256"), [(ZipLayout, *KEPT_ZIP), (TarLayout, *KEPT_TAR)])
def test_bytes_and_tag_of_a_version_stay_what_they_are(
    layout_of: type[ZipLayout | TarLayout], tag: str, sha256: str
) -> None:
    """After an upgrade, too: downloads go on with what they began. Other bytes need another version."""
    layout = layout_of(
        [batch_of([FILE, a_folder("d/e"), a_symlink("d/l", "one"), a_file("größe", mtime=-5)])]
    )
    assert layout.etag == tag
    assert hashlib.sha256(read(layout)).hexdigest() == sha256


@settings(max_examples=examples(40))
@given(one=entries(), other=entries())
def test_different_entries_have_different_tags(one: list[Entry], other: list[Entry]) -> None:
    assume([e._replace(source=0, offset=0) for e in one] != [e._replace(source=0, offset=0) for e in other])
    assert ZipLayout(split(one)).etag != ZipLayout(split(other)).etag


@given(st.lists(st.integers(0, 3), min_size=2, max_size=6))
def test_columns_do_not_run_into_one_another(lengths: list[int]) -> None:
    """Entries with the same letters in other columns, or in other entries, are others."""
    listed = [a_file(f"{n}" + "1" * length, digest="1" * (3 - length)) for n, length in enumerate(lengths)]
    moved = [e._replace(path=e.path + "1", digest=e.digest[1:]) if e.digest else e for e in listed]
    assume(moved != listed)
    assert tags(*listed)[0] != tags(*moved)[0]


def test_entries_do_not_run_into_one_another() -> None:
    assert not {*tags(a_file("ab"), a_file("c"))} & {*tags(a_file("a"), a_file("bc"))}
    one, other = a_file("a"), a_file("b")
    moved = tags(one._replace(digest="a"), other._replace(digest="bc"))
    assert not {*tags(one._replace(digest="ab"), other._replace(digest="c"))} & {*moved}
    assert not {*tags(a_symlink("a", "xy"), a_symlink("b", "z"))} & {
        *tags(a_symlink("a", "x"), a_symlink("b", "yz"))
    }


def test_a_tag_is_fit_for_a_header() -> None:
    for tag in tags(FILE):
        assert tag.isascii()
        assert tag.replace("-", "").isalnum()


def test_kinds_are_all_covered() -> None:
    assert {entry.kind for entry in CHANGES.values()} == {*EntryKind}
