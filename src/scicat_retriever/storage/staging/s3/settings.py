"""How to reach a bucket that holds the staged archives.

They stand apart from the code, which takes long to import.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, PositiveInt, StringConstraints

from scicat_retriever.storage.s3.access import Endpoint, S3Access

MIB = 2**20
_LONGEST_URL_LIFETIME = 7 * 86400
"""Seconds; the limit of a presigned URL (AWS Signature Version 4, query parameters)."""

Tag = Annotated[str, StringConstraints(min_length=1, max_length=128)]


class S3StagingSettings(S3Access):
    """A bucket that holds staged archives: AWS, MinIO, Ceph, SeaweedFS or any other S3. Sizes are bytes."""

    kind: Literal["s3"] = Field(description="A bucket of an S3.")
    capacity_bytes: PositiveInt = Field(
        description="Most bytes that staging may take: an S3 does not say how much room it has."
    )
    prefix: str = Field(
        "",
        max_length=200,
        pattern=r"^([A-Za-z0-9!_.*'()-]+/)*$",
        description="What the keys begin with, such as `scicat-staging/`; no other service may use it.",
    )
    storage_class: str | None = Field(
        None, pattern=r"^[A-Z_]+$", description="Storage class of the objects; one that can be read at once."
    )
    tags: dict[Tag, Annotated[str, StringConstraints(max_length=256)]] = Field(
        {}, max_length=10, description="Tags of the objects."
    )
    checksum: Literal["crc64nvme", "crc32c", "sha256", "md5"] = Field(
        "crc64nvme",
        description="What the S3 checks each part and the whole object by: `crc64nvme` or `crc32c` of the whole; "
        "`sha256` of the parts, if the S3 lists them; `md5`, by ETags, for one that has no checksums.",
    )
    sign_payload: bool | None = Field(
        None,
        description="Whether what is sent is part of the signature (costs a sha256). Without it: on http, not on https.",
    )
    part_bytes: int = Field(
        16 * MIB,
        ge=5 * MIB,
        le=1024 * MIB,
        description="Least size of a part; files above 150 GB take larger ones. A copy takes `upload_slots` + 1 parts of "
        "memory.",
    )
    upload_slots: int = Field(3, ge=1, le=32, description="Parts of one file that are sent at once.")
    downloads: Literal["redirect", "stream"] = Field(
        "redirect",
        description="Whether scientists are sent to the S3 by a presigned URL, or get the bytes through the service.",
    )
    external_url: Endpoint | None = Field(
        None,
        description="Where scientists reach the S3, if that is not `endpoint_url`; presigned URLs begin with it.",
    )
    url_lifetime: int = Field(
        3600,
        ge=1,
        le=_LONGEST_URL_LIFETIME,
        description="How long a presigned URL works: within it a download must begin, and be resumed.",
    )

    @property
    def signs_payload(self) -> bool:
        """Whether what is sent is part of the signature."""
        if self.sign_payload is not None:
            return self.sign_payload
        return super().signs_payload
