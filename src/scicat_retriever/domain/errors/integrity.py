"""What was read is not what was catalogued."""

from __future__ import annotations

from scicat_retriever.domain.errors.base import Cause, RetrieverError


class IntegrityError(RetrieverError):
    """What was read is not what was catalogued."""

    cause = Cause.DATA


class ChecksumMismatch(IntegrityError):
    """A file's checksum differs from the catalogued one."""

    code = "checksum_mismatch"


class SizeMismatch(IntegrityError):
    """A file's size differs from the catalogued one."""

    code = "size_mismatch"


class MemberMissing(IntegrityError):
    """A catalogued file is not in the archive."""

    code = "member_missing"


class MemberUnexpected(IntegrityError):
    """The archive holds a file that is not catalogued, nor in another spelling with its size and checksum."""

    code = "member_unexpected"


class MemberDuplicated(IntegrityError):
    """The archive holds a file twice."""

    code = "member_duplicated"


class MemberUnsafe(IntegrityError):
    """A member's name would lead outside the folder that it is unpacked into."""

    code = "member_unsafe"


class ChecksumMissing(IntegrityError):
    """The catalogue has no checksum of a file, and the policy is to fail."""

    code = "checksum_missing"


class ChecksumUnknown(IntegrityError):
    """A checksum in the catalogue names no algorithm, or an unknown one, or does not fit the algorithm."""

    code = "checksum_unknown"


class CatalogueFileDuplicated(IntegrityError):
    """The catalogue lists a file of a datablock twice."""

    code = "catalogue_file_duplicated"


class ManifestDamaged(IntegrityError):
    """The record of what was copied does not bear its seal; a retry of the job copies the archive again."""

    code, cause = "manifest_damaged", Cause.SYSTEM
