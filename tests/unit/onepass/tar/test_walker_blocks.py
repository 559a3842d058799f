"""Headers made by hand, honest and hostile."""

import hashlib
from collections.abc import Callable

import pytest

from scicat_retriever.onepass.errors import (
    BadHeader,
    GnuIncremental,
    HeaderTooLarge,
    SparseMember,
    TarFault,
    TooManyMembers,
    TrailingGarbage,
    TruncatedArchive,
    UnsupportedMember,
)
from scicat_retriever.onepass.member import MemberKind
from scicat_retriever.onepass.tar.rules import TarRules
from scicat_retriever.onepass.tar.walker import members_allowance
from tests.unit.onepass.tars import END, file, header, octal, padded, pax, pax_record, walk


def test_zeros_alone_are_an_empty_tar() -> None:
    assert walk(bytes(10240), (1000,)) == []


@pytest.mark.parametrize("blocks", [0, 1])
def test_fewer_zeros_than_a_marker_are_truncated(blocks: int) -> None:
    with pytest.raises(TruncatedArchive):
        walk(bytes(512 * blocks))


def test_an_archive_cut_between_two_members_is_truncated() -> None:
    with pytest.raises(TruncatedArchive, match="end-of-archive"):
        walk(file(b"one", b"content"))


def test_truncation_names_the_member_it_happened_in() -> None:
    with pytest.raises(TruncatedArchive, match="'one'"):
        walk(file(b"one", bytes(2000))[:900])


def test_zeros_after_the_marker_are_padding() -> None:
    assert len(walk(file(b"one", b"x") + END + bytes(9001), (700,))) == 1


def test_anything_else_after_the_marker_is_refused() -> None:
    with pytest.raises(TrailingGarbage, match="offset 2148"):
        walk(file(b"one", b"x") + END + bytes(100) + b"hidden", (999,))


def test_a_second_archive_behind_the_first_is_refused() -> None:
    whole = file(b"one", b"x") + END
    with pytest.raises(TrailingGarbage):
        walk(whole + whole)


def test_a_header_after_a_single_block_of_zeros_is_refused() -> None:
    with pytest.raises(BadHeader, match="single block of zeros"):
        walk(file(b"one", b"x") + bytes(512) + file(b"two", b"y") + END)


def test_a_size_in_base_256_is_read() -> None:
    size = b"\x80" + (3000).to_bytes(11, "big")
    member = walk(header(b"big", size) + padded(bytes(3000)) + END, (400,))[0]
    assert (member.size, member.digest) == (3000, hashlib.sha256(bytes(3000)).hexdigest())


@pytest.mark.parametrize(
    "size",
    [octal(700), b"        1274", b"1274        ", b"   1274\0\0\0\0\0", b"000000001274", b"1274\0garbage"],
)
def test_sizes_are_read_however_they_are_padded(size: bytes) -> None:
    assert walk(header(b"it", size) + padded(bytes(700)) + END)[0].size == 700


def test_an_empty_size_is_nought() -> None:
    assert walk(header(b"it", bytes(12)) + END)[0].size == 0


@pytest.mark.parametrize(
    ("size", "said"),
    [
        (b"\xff" * 12, "negative"),
        (b"\xc0" + bytes(11), "negative"),
        (b"\x80" + b"\xff" * 11, "63 bits"),
        (b"-0000000001\0", "octal"),
        (b"+0000000001\0", "octal"),
        (b"0000000_010\0", "octal"),
        (b"00000000089\0", "octal"),
        (b"0x000000010\0", "octal"),
    ],
)
def test_impossible_sizes_are_refused(size: bytes, said: str) -> None:
    with pytest.raises(BadHeader, match=said):
        walk(header(b"it", size) + bytes(1024) + END)


def test_a_wrong_checksum_is_refused_with_its_offset() -> None:
    bad = bytearray(file(b"one", b"x") + file(b"two", b"y") + END)
    bad[1024] ^= 1
    with pytest.raises(BadHeader, match="offset 1024"):
        walk(bytes(bad))


def test_a_sum_of_signed_bytes_is_accepted() -> None:
    block = header("größe".encode("latin-1"), signed=True)
    assert walk(block + END)[0].name.encode("utf-8", "surrogateescape") == "größe".encode("latin-1")


@pytest.mark.parametrize("form", [b"%06o\0 ", b"%06o \0", b"%07o\0", b"%o\0\0\0", b" %o \0"])
def test_checksums_are_read_however_they_are_padded(form: bytes) -> None:
    total = int(header(b"it")[148:154], 8)
    assert walk(header(b"it", checksum=(form % total).ljust(8, b"\0")[:8]) + END)[0].name == "it"


def test_a_v7_directory_is_known_by_its_slash() -> None:
    assert walk(header(b"folder/", kind=b"\0", magic=b"") + END)[0].kind is MemberKind.DIRECTORY


def test_a_directory_with_content_is_refused() -> None:
    with pytest.raises(BadHeader, match="directory with content"):
        walk(file(b"folder/", b"content") + END)


@pytest.mark.parametrize("magic", [b"ustar  \0", b""])
def test_headers_that_have_times_for_a_prefix_are_refused_unless_they_are_to_be_taken(magic: bytes) -> None:
    data = header(b"it", magic=magic, prefix=b"14000000000\0") + END
    with pytest.raises(GnuIncremental, match="'it' at offset 0"):
        walk(data)
    assert walk(data, rules=TarRules(gnu_incremental=True))[0].name == "it"


def test_times_for_a_prefix_matter_not_where_the_name_is_elsewhere() -> None:
    short = header(b"it", magic=b"ustar  \0", prefix=b"14000000000\0")
    long_name = file(b"././@LongLink", b"long\0", kind=b"L", magic=b"ustar  \0")
    assert walk(long_name + short + END)[0].name == "long"


def test_a_contiguous_file_is_a_file() -> None:
    assert walk(file(b"it", b"content", kind=b"7") + END)[0].digest == hashlib.sha256(b"content").hexdigest()


@pytest.mark.parametrize("kind", [b"1", b"2", b"3", b"4", b"5", b"6"])
def test_what_has_no_content_is_followed_by_the_next_header(kind: bytes) -> None:
    data = header(b"it", octal(5000), kind, link=b"one") + file(b"next", b"x") + END
    assert [(member.name, member.size) for member in walk(data)] == [("it", 0), ("next", 1)]


def test_the_content_of_an_unknown_type_is_passed_over() -> None:
    members = walk(file(b"acl", bytes(700), kind=b"A") + file(b"next", b"x") + END, (300,))
    assert [(member.name, member.kind) for member in members] == [
        ("acl", MemberKind.OTHER),
        ("next", MemberKind.FILE),
    ]


@pytest.mark.parametrize("kind", [b"M", b"N"])
def test_pieces_of_other_volumes_are_refused(kind: bytes) -> None:
    with pytest.raises(UnsupportedMember, match="'part'"):
        walk(file(b"part", b"x", kind=kind) + END)


def test_a_gnu_sparse_member_is_refused_by_name() -> None:
    with pytest.raises(SparseMember, match="'holes'"):
        walk(header(b"holes", kind=b"S", magic=b"ustar  \0") + END)


def test_a_member_without_a_name_is_refused() -> None:
    with pytest.raises(BadHeader, match="no name"):
        walk(header(b"") + END)


def test_pax_records_win_over_the_header() -> None:
    records = {b"path": b"long/name", b"size": b"5", b"mtime": b"1.5", b"SCHILY.xattr.user.a": b"\xff\n=\0b"}
    member = walk(pax(records) + header(b"short", octal(0)) + padded(b"12345") + END, (13,))[0]
    assert (member.name, member.size, member.digest) == ("long/name", 5, hashlib.sha256(b"12345").hexdigest())


def test_pax_records_hold_for_one_member_alone() -> None:
    members = walk(pax({b"path": b"renamed", b"size": b"1"}) + file(b"one", b"x") + file(b"two", b"yy") + END)
    assert [(member.name, member.size) for member in members] == [("renamed", 1), ("two", 2)]


def test_a_global_header_with_a_comment_is_passed_over() -> None:
    assert walk(pax({b"comment": b"0123abcd"}, b"g") + file(b"one", b"x") + END)[0].name == "one"


@pytest.mark.parametrize("records", [{b"size": b"9"}, {b"path": b"same"}, {b"linkpath": b"same"}])
def test_a_global_header_that_reshapes_all_members_is_refused(records: dict[bytes, bytes]) -> None:
    with pytest.raises(BadHeader, match="all members"):
        walk(pax(records, b"g") + file(b"one", b"x") + END)


@pytest.mark.parametrize(
    "key", [b"GNU.sparse.major", b"GNU.sparse.map", b"GNU.sparse.size", b"SCHILY.realsize"]
)
@pytest.mark.parametrize("kind", [b"x", b"g"])
def test_pax_sparse_records_are_refused(key: bytes, kind: bytes) -> None:
    with pytest.raises(SparseMember, match=key.decode()):
        walk(pax({key: b"1"}, kind) + file(b"one", b"x") + END)


@pytest.mark.parametrize("size", [b"-1", b"1e3", b" 5", b"9" * 19, b"9" * 4000, b"\xb2"])
def test_impossible_pax_sizes_are_refused(size: bytes) -> None:
    with pytest.raises(BadHeader, match="no possible size"):
        walk(pax({b"size": size}) + file(b"one", b"x") + END)


@pytest.mark.parametrize(
    "body",
    [
        b"path=it\n",
        b"0 path=it\n",
        b"1 path=it\n",
        b"9999999 path=it\n",
        b"99999999999999999999 path=it\n",
        b"10 path=it\n",
        b"12 path=it\n",
        b"9 pathit\n",
        b"8 =path\n",
        pax_record(b"path", b"it")[:-1] + b"x",
        b"\xb2 path=it\n",
        pax_record(b"comment", b"it") + b"\0\0garbage",
    ],
)
def test_malformed_pax_records_are_refused(body: bytes) -> None:
    with pytest.raises(BadHeader, match="pax record"):
        walk(header(b"x", octal(len(body)), b"x") + padded(body) + file(b"one", b"x") + END)


def test_a_nul_in_a_pax_path_is_refused() -> None:
    with pytest.raises(BadHeader, match="NUL"):
        walk(pax({b"path": b"safe\0../evil"}) + file(b"one", b"x") + END)


def test_a_name_ends_at_its_nul() -> None:
    assert walk(header(b"name\0rest") + END)[0].name == "name"


def test_gnu_and_pax_names_that_disagree_are_refused() -> None:
    long_name = file(b"././@LongLink", b"gnu\0", kind=b"L")
    with pytest.raises(BadHeader, match="disagree"):
        walk(long_name + pax({b"path": b"pax"}) + file(b"one", b"x") + END)


@pytest.mark.parametrize("kind", [b"x", b"g", b"L", b"K"])
def test_a_giant_extended_header_is_refused_before_its_content(kind: bytes) -> None:
    with pytest.raises(HeaderTooLarge):
        walk(header(b"x", b"\x80" + (8 << 30).to_bytes(11, "big"), kind))


def test_many_extended_headers_before_one_member_are_bounded_together() -> None:
    with pytest.raises(HeaderTooLarge):
        walk(pax({b"comment": bytes(1000)}) * 1100 + file(b"one", b"x") + END)


LONG_PATHS = {
    "pax path": lambda path: pax({b"path": path}) + header(b"it"),
    "pax linkpath": lambda path: pax({b"linkpath": path}) + header(b"it", kind=b"2", link=b"x"),
    "GNU L": lambda path: file(b"././@LongLink", path + b"\0", kind=b"L") + header(b"it"),
    "GNU K": lambda path: file(b"././@LongLink", path + b"\0", kind=b"K") + header(b"it", kind=b"2"),
}


@pytest.mark.parametrize("wrap", LONG_PATHS.values(), ids=LONG_PATHS.keys())
def test_a_path_is_taken_up_to_the_longest_that_can_be_unpacked(wrap: Callable[[bytes], bytes]) -> None:
    member = walk(wrap(b"a/" * 2047 + b"bc") + END)[0]
    assert 4096 in (len(member.name), len(member.link))
    with pytest.raises(HeaderTooLarge, match="a path of 4097 bytes"):
        walk(wrap(b"a/" * 2048 + b"b") + END)


@pytest.mark.parametrize("kind", [b"0", b"1", b"2", b"3", b"5"])
def test_members_of_each_kind_are_bounded_together(kind: bytes) -> None:
    data = (file(b"one", b"x") + header(b"two", kind=kind, link=b"one")) * 5 + END
    assert len(walk(data, (512,), most_members=10)) == 10
    with pytest.raises(TooManyMembers, match="9 is the most"):
        walk(data, (512,), most_members=9)


def test_long_names_count_for_several_members() -> None:
    data = (pax({b"path": b"n" * 2560}) + header(b"it")) * 5 + END
    assert len(walk(data, (512,), most_members=55)) == 5
    with pytest.raises(TooManyMembers):
        walk(data, (512,), most_members=54)


def test_an_honest_archive_has_room_for_folders_and_links() -> None:
    assert members_allowance(0) == 100_000
    assert members_allowance(1_000_000) == 4_100_000


def test_many_global_headers_are_no_fault() -> None:
    data = (pax({b"comment": bytes(1000)}, b"g") + file(b"one", b"x")) * 1100 + END
    assert len(walk(data)) == 1100


def test_an_extended_header_without_a_member_is_refused() -> None:
    with pytest.raises(BadHeader, match="without a member"):
        walk(pax({b"path": b"it"}) + END)


def test_a_file_that_claims_more_than_there_is_is_truncated() -> None:
    with pytest.raises(TarFault, match="'huge'"):
        walk(header(b"huge", b"\x80" + (1 << 60).to_bytes(11, "big")) + bytes(100_000))


def test_a_checksum_that_is_right_but_for_a_multiple_of_adlers_modulus_is_wrong() -> None:
    name, link, prefix = b"\xff" * 100, b"\xff" * 100, b"\xff" * 155
    honest = header(name, link=link, prefix=prefix)
    total = int(honest[148:154], 8)
    assert total > 65521
    assert len(walk(honest + END)) == 1
    with pytest.raises(BadHeader, match="checksum"):
        walk(header(name, link=link, prefix=prefix, checksum=b"%06o\0 " % (total - 65521)) + END)
