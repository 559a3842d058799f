"""What is verified is what GNU tar, bsdtar and Python's tarfile unpack."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scicat_retriever.pipeline.tools.archive_policy import ArchivePolicy
from tests.examples import examples
from tests.fuzz.odd_tars import TARS
from tests.fuzz.unpackers import MISSING, unpacked_by_all
from tests.fuzz.unpacking_target import check_tar
from tests.unit.onepass.tars import END, file, header, pax

needs_all = pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}")
LAST = ArchivePolicy(duplicate_members="last")
F = file(b"f", b"hello")
GNU = b"ustar  \0"


@needs_all
@settings(
    max_examples=examples(400),
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
@given(TARS, st.booleans())
def test_what_is_verified_is_what_all_programs_leave(tar: bytes, last: bool) -> None:
    check_tar(tar, LAST if last else ArchivePolicy())


TAKEN = {
    "a file, its link and a folder": header(b"d/", kind=b"5")
    + F
    + header(b"d/l", kind=b"1", link=b"f")
    + END,
    "a hard link to itself": F + header(b"f", kind=b"1", link=b"f") + END,
    "a hard link with a size": F + header(b"l", b"00000001274\0", b"1", link=b"f") + file(b"g", b"x") + END,
    "a folder with a size": F + header(b"d", b"00000001274\0", b"5") + file(b"g", b"x") + END,
    "a label": header(b"tape 7", kind=b"V", magic=GNU) + F + END,
    "a list of a folder's files": pax({b"GNU.dumpdir": b"Yf\0\0"}) + header(b"d/", kind=b"5") + F + END,
    "no marker": F,
    "half a marker": F + bytes(512),
}


@needs_all
@pytest.mark.parametrize("case", TAKEN)
def test_what_is_odd_and_taken_is_unpacked_alike(case: str) -> None:
    assert check_tar(TAKEN[case])


@needs_all
def test_the_last_file_of_a_path_is_what_is_left() -> None:
    assert check_tar(F + file(b"f", b"later") + header(b"l", kind=b"1", link=b"f") + END, LAST)


DIFFERENT = {
    "times for a prefix": file(b"f", b"hello", magic=GNU, prefix=b"14000000000\0") + END,
    "a folder of an incremental backup": file(b"d", b"Nf\0\0", kind=b"D", magic=GNU) + F + END,
    "a link with a size after a pax header": pax({b"mtime": b"1"})
    + F
    + header(b"l", b"00000001274\0", b"1", link=b"f")
    + file(b"g", b"x")
    + END,
    "a file over one that has a link": F + header(b"l", kind=b"1", link=b"f") + file(b"f", b"later") + END,
    "two pax headers": pax({b"path": b"a"}) + pax({b"path": b"b"}) + F + END,
    "a file whose name ends in a slash": F + header(b"d/") + END,
    "a pax size without a value": pax({b"size": b""}) + F + file(b"g", b"x") + END,
}


@needs_all
@pytest.mark.parametrize("case", DIFFERENT)
def test_what_is_refused_as_ambiguous_is_unpacked_in_different_ways(case: str) -> None:
    found = unpacked_by_all(DIFFERENT[case])
    trees = [one.tree for one in found.values() if not one.error]
    assert any(tree != trees[0] for tree in trees)
    assert not check_tar(DIFFERENT[case], LAST)
