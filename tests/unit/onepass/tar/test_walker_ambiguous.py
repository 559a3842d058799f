"""What GNU tar, bsdtar and Python's tarfile would unpack in different ways is refused; what they agree on is taken.

What each of them does was seen in `tests/fuzz/unpacking_target.py`.
"""

import pytest

from scicat_retriever.onepass.errors import AmbiguousMember, BadHeader, TarFault
from scicat_retriever.onepass.member import MemberKind
from tests.unit.onepass.tars import END, file, header, octal, pax, walk

GNU = b"ustar  \0"
FIRST, LAST = file(b"f", b"hello"), file(b"g", b"other")
SIZED_LINK = header(b"h", octal(700), b"1", link=b"f")


def long_name(name: bytes, kind: bytes = b"L") -> bytes:
    return file(b"././@LongLink", name + b"\0", kind=kind, magic=GNU)


def field(block: bytes, at: int, value: bytes) -> bytes:
    """Put a field into a header, and its checksum right."""
    changed = block[:at] + value + block[at + len(value) :]
    total = sum(changed[:148]) + 8 * 32 + sum(changed[156:512])
    return changed[:148] + b"%06o\0 " % total + changed[156:]


AMBIGUOUS = {
    "a hard link with a size after a pax header": pax({b"comment": b"c"}) + FIRST + SIZED_LINK,
    "a hard link with a size after a global pax header": pax({b"comment": b"c"}, b"g") + FIRST + SIZED_LINK,
    "a hard link with a size in its pax header": FIRST
    + pax({b"size": b"5"})
    + header(b"h", kind=b"1", link=b"f"),
    "a symbolic link with a size in its pax header": pax({b"size": b"5"})
    + header(b"s", kind=b"2", link=b"f"),
    "a folder with a size in its pax header": pax({b"size": b"5"}) + header(b"d", kind=b"5"),
    "a pipe with a size in its pax header": pax({b"size": b"5"}) + header(b"p", kind=b"6"),
    "a pax size without a value": pax({b"size": b""}) + FIRST,
    "a pax path without a value": pax({b"path": b""}) + FIRST,
    "a GNU long name without a value": long_name(b"") + FIRST,
    "a pax link without a value": FIRST + pax({b"linkpath": b""}) + header(b"s", kind=b"2", link=b"f"),
    "a GNU long link without a value": FIRST
    + long_name(b"", b"K")
    + header(b"s", kind=b"2", link=b"f", magic=GNU),
    "two pax headers of one member": pax({b"path": b"a"}) + pax({b"path": b"b"}) + FIRST,
    "two pax headers, the second empty": pax({b"path": b"a"}) + pax({b"mtime": b"1"}) + FIRST,
    "two GNU long names of one member": long_name(b"a") + long_name(b"b") + FIRST,
    "two GNU long links of one member": long_name(b"a", b"K")
    + long_name(b"b", b"K")
    + header(b"s", kind=b"2"),
    "a file whose name ends in a slash": header(b"d/"),
    "a file whose long name ends in a slash": long_name(b"d/") + header(b"d", kind=b"\0", magic=GNU),
    "a file whose short name ends in a slash": pax({b"path": b"d"}) + header(b"d/", kind=b"\0"),
    "a file whose name ends in a slash and a dot": file(b"d/.", b"x"),
    "an old file whose name ends in a slash and a dot": file(b"d/.", b"x", kind=b"\0", magic=b""),
    "an empty file whose name ends in a slash and a dot": header(b"d/."),
    "a file whose long name ends in a slash and a dot": long_name(b"d/.") + file(b"d", b"x", magic=GNU),
    "a file whose pax path ends in a slash and a dot": pax({b"path": b"d/."}) + FIRST,
    "a symbolic link whose name ends in a slash and a dot": FIRST + header(b"s/.", kind=b"2", link=b"f"),
    "a symbolic link whose name ends in a dot and slashes": FIRST + header(b"s/.//", kind=b"2", link=b"f"),
    "a hard link whose name ends in a slash and a dot": FIRST + header(b"h/.", kind=b"1", link=b"f"),
    "a pipe whose name ends in a slash and a dot": header(b"p/.", kind=b"6"),
    "a hard link to a name with a slash at its end": FIRST + header(b"h", kind=b"1", link=b"f/"),
    "a hard link to a name with a slash and a dot at its end": FIRST + header(b"h", kind=b"1", link=b"f/."),
    "a folder with a list of its files": file(b"d", b"Nf\0\0", kind=b"D", magic=GNU),
    "an owner that is no number": field(FIRST, 108, b"nobody\0\0"),
    "a mode with digits behind its end": field(FIRST, 100, b"\0\0000644"),
    "a mode that is no number": field(FIRST, 100, b"1 2\0\0\0\0\0"),
    "a size with digits behind a NUL": field(FIRST, 124, b"\0" + b"00000000005"),
    "a size of an extension with digits behind a NUL": field(
        pax({b"path": b"a"}), 124, b"\0" + b"00000000012"
    )
    + FIRST,
    "a time that is no number": field(FIRST, 136, b"00000000008\0"),
    "a device that is no number": field(FIRST, 329, b"\x81\0\0\0\0\0\0\0"),
}


@pytest.mark.parametrize("case", AMBIGUOUS)
def test_what_programs_unpack_in_different_ways_is_refused(case: str) -> None:
    with pytest.raises(AmbiguousMember):
        walk(AMBIGUOUS[case] + LAST + END)


AGREED = {
    "a hard link with a size": FIRST + SIZED_LINK,
    "a hard link with a size in an old tar": FIRST + header(b"h", octal(700), b"1", link=b"f", magic=b""),
    "a hard link with a size by GNU tar, after a pax header": pax({b"comment": b"c"})
    + FIRST
    + header(b"h", octal(700), b"1", link=b"f", magic=GNU),
    "a hard link with no size in its pax header": FIRST
    + pax({b"size": b"0"})
    + header(b"h", octal(700), b"1", link=b"f"),
    "a folder whose name ends in a slash and a dot": FIRST + header(b"d/.", kind=b"5"),
    "an old folder whose name ends in a dot and a slash": FIRST + header(b"d/./", kind=b"\0", magic=b""),
    "a symbolic link whose name ends in a slash": FIRST + header(b"s/", kind=b"2", link=b"f"),
    "a symbolic link to a folder, in two spellings": FIRST
    + header(b"s", kind=b"2", link=b"d/")
    + header(b"t", kind=b"2", link=b"d/."),
    "a hard link to a name with a dot at its end": file(b"f", b"hello")
    + file(b"d.", b"x")
    + header(b"h", kind=b"1", link=b"./d."),
    "names with dots within": FIRST + file(b"./d/./e", b"x") + file(b"d/e.", b"x") + file(b"d/..e", b"x"),
    "a folder with a size": FIRST + header(b"d", octal(700), b"5"),
    "two pax headers that say the same": pax({b"path": b"f"}) + pax({b"path": b"f"}) + FIRST,
    "owners in base 256, and negative ones": field(
        field(FIRST, 108, b"\x80" + bytes(6) + b"\1"), 116, b"-2\0\0\0\0\0\0"
    ),
    "a time before 1970": field(FIRST, 136, b"\xff" * 12),
    "fields of blanks, and without an end": field(field(FIRST, 100, b"    644 "), 136, b"014000000000"),
}


@pytest.mark.parametrize("case", AGREED)
def test_what_programs_agree_on_is_taken(case: str) -> None:
    members = walk(AGREED[case] + LAST + END)
    assert (members[0].name, members[-1].name, members[-1].size) == ("f", "g", 5)


@pytest.mark.parametrize("checksum", [b"\0%06o ", b"%06o\0x", b"+%05o\0 ", b"%05o_\0 "])
def test_a_checksum_that_is_read_by_some_programs_alone_is_refused(checksum: bytes) -> None:
    total = int(header(b"it")[148:154], 8)
    with pytest.raises(BadHeader, match="checksum"):
        walk(header(b"it", checksum=(checksum % total).ljust(8, b"\0")[:8]) + END)


@pytest.mark.parametrize("kind", [b"1", b"2"])
def test_a_link_without_a_target_is_refused(kind: bytes) -> None:
    with pytest.raises(BadHeader, match="without a target"):
        walk(FIRST + header(b"s", kind=kind) + END)


@pytest.mark.parametrize("cuts", [(), (1,), (5, 300)])
def test_a_tar_that_begins_as_a_file_of_lzma_does_is_refused(cuts: tuple[int, ...]) -> None:
    """Nothing of it is unpacked by bsdtar, which ends well."""
    alike = field(FIRST, 0, b"f\0\0\1\0") + file(b"g", b"other") + END
    with pytest.raises(BadHeader, match="lzma"):
        walk(alike, cuts=cuts)


@pytest.mark.parametrize("name", [b"f\0\0\0", b"f\0\0\3", b"f\0x", b"f\0\1"])
def test_other_bytes_behind_the_first_name_are_nobody_s(name: bytes) -> None:
    members = walk(field(FIRST, 0, name) + LAST + END)
    assert members[0].name == "f"


def test_a_name_of_a_prefix_alone_is_none() -> None:
    with pytest.raises(TarFault, match="no name"):
        walk(header(b"", prefix=b"folder") + END)


def test_a_folder_of_an_old_tar_is_known_by_its_slash() -> None:
    assert walk(header(b"d/", kind=b"\0", magic=b"") + END)[0].kind is MemberKind.DIRECTORY
