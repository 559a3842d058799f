"""Tars as programs write them and as none should, header by header."""

from __future__ import annotations

from hypothesis import strategies as st

from tests.unit.onepass.tars import END, header, octal, padded, pax_record

MAGICS = (b"ustar\x0000", b"ustar  \0", b"", b"ustar\0\0\0")
NAMES = (b"f", b"g", b"d/f", b"d", b"./f", b"d//f", b"s", b"d/", b"s/f", b"t", b"f/.")
KINDS = (b"0", b"0", b"0", b"\0", b"1", b"1", b"2", b"5", b"5", b"7", b"V", b"D", b"6", b"A", b"Z")
CONTENTS = (b"", b"hello", b"other one", bytes(700), b"x" * 512, b"Yf\0Nd\0\0")
NUMBERS = (
    b"00000000000\0",
    b"00000000005\0",
    b"00000001274\0",
    b"5           ",
    b"          5 ",
    b"000000000005",
    b"5\0garbage  ",
    b"\0\0\0\0\0\0\0\0\0\0\0\0",
    b"\x80" + bytes(10) + b"\x05",
    b"\xff" * 12,
    b"-0000000001\0",
    b"00000000009\0",
    b"1 2         ",
    b"0o12\0       ",
)
SHORT_NUMBERS = (
    b"0000644\0",
    b"000644 \0",
    b"     0 \0",
    bytes(8),
    b"-2     \0",
    b"nobody\0\0",
    b"\x80\0\0\0\0\0\0\1",
    b"00000009",
)
CHECKSUMS = (
    None,
    None,
    None,
    None,
    b"%06o\0 ",
    b"%06o \0",
    b"%07o\0",
    b" %o\0 ",
    b"\0%06o ",
    b"%06o\0x",
    b"+%05o\0 ",
)
RECORDS = (
    (b"path", b"d/p"),
    (b"path", b"f"),
    (b"path", b"d/"),
    (b"path", b""),
    (b"linkpath", b"f"),
    (b"linkpath", b""),
    (b"size", b"5"),
    (b"size", b"0"),
    (b"size", b"700"),
    (b"size", b""),
    (b"mtime", b"1.5"),
    (b"comment", b"free"),
    (b" path", b"q"),
    (b"GNU.dumpdir", b"Yf\0\0"),
    (b"hdrcharset", b"BINARY"),
    (b"SCHILY.xattr.user.a", b"\xff\n=\0b"),
    (b"uid", b"x"),
)


def _with_fields(block: bytes, mode: bytes, time: bytes, devices: bytes, checksum: bytes | None) -> bytes:
    changed = block[:100] + mode + block[108:136] + time + block[148:329] + devices + block[345:]
    total = sum(changed[:148]) + 8 * 32 + sum(changed[156:])
    field = ((checksum or b"%06o\0 ") % total).ljust(8, b"\0")[:8]
    return changed[:148] + field + changed[156:]


def _member(
    name: bytes,
    kind: bytes,
    link: bytes,
    content: bytes,
    magic: bytes,
    prefix: bytes,
    odd: tuple[bytes, ...] | None,
) -> bytes:
    has_content = kind in (b"0", b"\0", b"7", b"D", b"A", b"Z", b"V")
    size = octal(len(content)) if has_content else octal(0)
    mode = b"0000755\0" if kind in (b"5", b"D") or name.endswith(b"/") else b"0000644\0"
    time, devices, checksum = b"14000000000\0", bytes(16), None
    if odd is not None:
        size, mode, time, devices, checksum = (
            odd[0] or size,
            odd[1],
            odd[2],
            odd[3] + bytes(8),
            odd[4] or None,
        )
    block = header(name, size, kind, link=link if kind in (b"1", b"2") else b"", magic=magic, prefix=prefix)
    return _with_fields(block, mode, time, devices, checksum) + (padded(content) if has_content else b"")


def _extended(kind: bytes, records: list[tuple[bytes, bytes]]) -> bytes:
    body = b"".join(pax_record(key, value) for key, value in records)
    return header(b"PaxHeaders/it", octal(len(body)), kind) + padded(body)


_ODD = st.tuples(
    st.sampled_from((b"", *NUMBERS)),
    st.sampled_from(SHORT_NUMBERS),
    st.sampled_from(NUMBERS),
    st.sampled_from((bytes(8), *SHORT_NUMBERS)),
    st.sampled_from([each or b"" for each in CHECKSUMS]),
)
_MAGIC = st.sampled_from(MAGICS)
MEMBER = st.builds(
    _member,
    st.sampled_from(NAMES),
    st.sampled_from(KINDS),
    st.sampled_from(NAMES),
    st.sampled_from(CONTENTS),
    _MAGIC,
    st.sampled_from((b"", b"", b"", b"", b"14000000000\0", b"pre")),
    st.one_of(st.none(), st.none(), st.none(), _ODD),
)
EXTENSION = st.one_of(
    st.builds(
        _extended,
        st.sampled_from((b"x", b"x", b"x", b"X", b"g")),
        st.lists(st.sampled_from(RECORDS), max_size=3),
    ),
    st.builds(
        lambda name, kind: (
            header(b"././@LongLink", octal(len(name) + 1), kind, magic=b"ustar  \0") + padded(name + b"\0")
        ),
        st.sampled_from(NAMES),
        st.sampled_from((b"L", b"K")),
    ),
)
PLAIN = st.builds(
    _member,
    st.sampled_from((b"f", b"g", b"d/f", b"t")),
    st.just(b"0"),
    st.just(b""),
    st.sampled_from(CONTENTS),
    _MAGIC,
    st.just(b""),
    st.none(),
)
DESCRIBED = st.builds(
    lambda extensions, member: b"".join(extensions) + member, st.lists(EXTENSION, max_size=2), MEMBER
)
TARS = st.builds(
    lambda members, end: b"".join(members) + end,
    st.lists(st.one_of(PLAIN, MEMBER, DESCRIBED), min_size=1, max_size=6),
    st.sampled_from((END, END, END + bytes(9000), bytes(512), b"", bytes(612), bytes(100))),
)
"""Mostly short: two members are enough for most of what programs do not agree on."""
