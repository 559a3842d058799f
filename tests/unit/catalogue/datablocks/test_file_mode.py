"""`perm` in the words of those who write file lists."""

import stat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scicat_retriever.catalogue.datablocks.file_mode import kind_by_mode
from scicat_retriever.domain.dataset import EntryKind

FOLDERS = [
    "drwxr-xr-x",
    "drwxrwsr-t",
    "drwxr-xr-x.",
    "drwxr-x---+",
    " drwxr-xr-x ",
    "dtrwxrwxrwx",
    "40755",
    "040755",
    "0o40755",
    "042775",
    "42775",
    "41777",
    "16877",
    16877,
]
LINKS = ["lrwxrwxrwx", "Lrwxrwxrwx", "120777", "0o120777", 41471, "41471", 41453, "41453", "41408"]
FILES = [
    "-rw-r--r--",
    "-rwsr-xr-t",
    "-rw-r--r--.",
    "100644",
    "0o100644",
    "33188",
    33188,
    "33261",
    33261,
]
NEITHER = [
    None,
    "",
    "d",
    "dataset",
    "delegated!",
    "disallowed",
    "-not-known-",
    "-----",
    "010644",
    "17407",
    "rwxr-xr-x",
    "rwx",
    "755",
    "0755",
    "00755",
    -1,
    2**40,
    16877.5,
    True,
    ["drwxr-xr-x"],
    "d" * 10_000,
]


@pytest.mark.parametrize("perm", FOLDERS)
def test_a_folder_is_told_by_its_permissions(perm: object) -> None:
    assert kind_by_mode(perm) is EntryKind.FOLDER


@pytest.mark.parametrize("perm", LINKS)
def test_a_symbolic_link_is_told_by_its_permissions(perm: object) -> None:
    assert kind_by_mode(perm) is EntryKind.LINK


@pytest.mark.parametrize("perm", FILES)
def test_a_regular_file_is_told_by_its_permissions(perm: object) -> None:
    assert kind_by_mode(perm) is EntryKind.FILE


@pytest.mark.parametrize("perm", NEITHER)
def test_everything_else_says_nothing(perm: object) -> None:
    assert kind_by_mode(perm) is None


@given(st.sampled_from([stat.S_IFDIR, stat.S_IFLNK, stat.S_IFREG, stat.S_IFIFO]), st.integers(0, 0o7777))
def test_all_spellings_of_a_mode_say_the_same(kind: int, bits: int) -> None:
    mode = kind | bits
    said = {kind_by_mode(spelled) for spelled in (mode, oct(mode), f"{mode:06o}", stat.filemode(mode))}
    kinds = {stat.S_IFREG: EntryKind.FILE, stat.S_IFDIR: EntryKind.FOLDER, stat.S_IFLNK: EntryKind.LINK}
    assert said == {kinds.get(kind)}


@given(st.integers(0, 0o7777))
def test_a_regular_file_is_told_by_each_mode_in_decimal_digits(bits: int) -> None:
    assert kind_by_mode(str(stat.S_IFREG | bits)) is EntryKind.FILE


@given(st.text() | st.integers() | st.none() | st.lists(st.integers()))
def test_whatever_it_is_it_is_no_error(perm: object) -> None:
    assert kind_by_mode(perm) in {None, *EntryKind}
