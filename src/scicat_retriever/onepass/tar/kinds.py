"""The kinds of members by their type flags, and which kinds are refused."""

from types import MappingProxyType

from scicat_retriever.onepass.errors import (
    AmbiguousMember,
    BadHeader,
    GnuIncremental,
    SparseMember,
    UnsupportedMember,
)
from scicat_retriever.onepass.member import MemberKind
from scicat_retriever.onepass.tar.header import LINK_TYPES, Header
from scicat_retriever.onepass.tar.rules import TarRules

FILE_TYPES = frozenset((b"0", b"\0", b"7"))
_OLD_FILE = b"\0"
_HARD_LINK = b"1"
_GNU_FOLDER = b"D"  # with the list of its files, in an incremental backup
_FOLDERS = frozenset((b"5", _GNU_FOLDER))
_WITHOUT_CONTENT = MappingProxyType(
    {
        _HARD_LINK: MemberKind.HARDLINK,
        b"2": MemberKind.SYMLINK,
        b"3": MemberKind.OTHER,
        b"4": MemberKind.OTHER,
        b"5": MemberKind.DIRECTORY,
        b"6": MemberKind.OTHER,
    }
)
_WITH_CONTENT = MappingProxyType({_GNU_FOLDER: MemberKind.DIRECTORY, b"V": MemberKind.LABEL})


def content_bytes(header: Header) -> int:
    """Give the bytes of content that follow the header of a member that is no file."""
    return 0 if header.type in _WITHOUT_CONTENT else header.size


def kind_of_other(header: Header, offset: int, rules: TarRules, *, after_pax: bool) -> MemberKind:
    """Give the kind of a member that is no file.

    Args:
        header: its header, with all that describing members said of it.
        offset: where the header stands in the stream, for messages.
        rules: what is accepted beyond what every program unpacks alike.
        after_pax: whether a pax header stands anywhere before it in the tar: bsdtar takes all of the tar for
            pax then.

    Raises:
        TarFault: the member is of no kind that is accepted, or contradicts itself.
    """
    what = f"the member {header.shown()} at offset {offset}"
    _refuse_dots_at_end(header, what)
    if header.type in FILE_TYPES:
        if header.size:
            raise BadHeader(f"{what} is a directory with content")
        if header.type != _OLD_FILE:
            raise AmbiguousMember(
                f"{what} is a file whose name ends in /, which is a folder for some programs"
            )
        return MemberKind.DIRECTORY
    if header.type == b"S":
        raise SparseMember(f"{what} is a GNU sparse file")
    if header.type in (b"M", b"N"):
        raise UnsupportedMember(
            f"{what} is of type {header.type!r}: a piece of a multi-volume archive, or renamings by an old GNU tar"
        )
    if header.type == _GNU_FOLDER and not rules.gnu_incremental:
        raise GnuIncremental(
            f"{what} is a folder of tar --incremental, with a list that Python's tarfile makes a file of"
        )
    if header.type in LINK_TYPES and not header.link:
        raise BadHeader(f"{what} is a link without a target")
    if header.type == _HARD_LINK and header.size and header.posix and after_pax:
        raise AmbiguousMember(f"{what} is a hard link with a size, which bsdtar takes for one with content")
    kind = _WITHOUT_CONTENT.get(header.type) or _WITH_CONTENT.get(header.type, MemberKind.OTHER)
    return MemberKind.OTHER if kind is MemberKind.LABEL and header.size else kind


def _refuse_dots_at_end(header: Header, what: str) -> None:
    """Refuse names behind which some programs look for a folder: `a/.` of no folder, a hard link to `a/`."""
    is_folder = header.type in _FOLDERS or (header.type == _OLD_FILE and header.name.endswith(b"/"))
    if not is_folder and header.name.rstrip(b"/").endswith(b"/."):
        raise AmbiguousMember(
            f"{what} is no folder, and its name ends in /. : bsdtar takes that away, others make a folder"
        )
    if header.type == _HARD_LINK and header.link.endswith((b"/", b"/.")):
        raise AmbiguousMember(
            f"{what} is a hard link to what ends in / or /. : Python's tarfile makes it, others only one to a folder"
        )
