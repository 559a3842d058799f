"""Members of archives and entries of the catalogue, and their comparison."""

import hashlib

from scicat_retriever.domain.dataset import FileEntry
from scicat_retriever.domain.evidence import Copied, DatablockKey, Recalled, Verified
from scicat_retriever.domain.ids import ArchiveId, DatablockId
from scicat_retriever.onepass.checksums import ChecksumAlgorithm
from scicat_retriever.onepass.digests import Hashing
from scicat_retriever.onepass.member import Member, MemberKind
from scicat_retriever.pipeline.tools.checksum_policy import FALLBACK_ALGORITHM, ChecksumPolicy
from scicat_retriever.pipeline.transfer.entry_check import EntryCheck
from scicat_retriever.pipeline.transfer.verify import against_catalogue
from tests.unit.pipeline.rig import PID

COPIED = Copied(
    Recalled(DatablockKey(PID, DatablockId("b")), ArchiveId("a.tar"), 10),
    10,
    "xxh3-128:0",
    "seal",
    1,
    "token",
    "receipt",
)
FAIL, SIZE_ONLY = ChecksumPolicy(), ChecksumPolicy("size_only")
KIND = MemberKind


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def file(name: str, content: bytes = b"x") -> Member:
    return Member(name, KIND.FILE, len(content), 512, digest(content), "", unsafe=False)


def symlink(name: str, link: str = "x") -> Member:
    return other(name, KIND.SYMLINK, link)


def directory(name: str) -> Member:
    return other(name, KIND.DIRECTORY)


def other(name: str, kind: MemberKind, link: str = "", *, unsafe: bool = False) -> Member:
    return Member(name, kind, 0, 512, "", link, unsafe)


def entry(path: str, content: bytes = b"x") -> FileEntry:
    return FileEntry(path, len(content), digest(content))


def bare(path: str, size: int = 1) -> FileEntry:
    """A file that the catalogue has no checksum of."""
    return FileEntry(path, size, None)


def verify(
    members: list[Member],
    catalogued: list[FileEntry],
    policy: ChecksumPolicy = FAIL,
    algorithm: ChecksumAlgorithm | None = ChecksumAlgorithm.SHA256,
    declared_size: int = 0,
    source_folder: str | None = None,
) -> Verified:
    named = () if algorithm is None else (algorithm,)
    check = EntryCheck(policy, named, Hashing(named or (FALLBACK_ALGORITHM,)))
    return against_catalogue(COPIED, members, catalogued, check, declared_size, lambda: source_folder)
