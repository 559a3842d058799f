"""How to reach a bucket that holds the staged archives. Apart from the code that does, which takes long to import."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PositiveInt,
    SecretStr,
    StringConstraints,
    model_validator,
)

MIB = 2**20
_LONGEST_URL_LIFETIME = 7 * 86400
"""Seconds; the limit of a presigned URL (AWS Signature Version 4, query parameters)."""

Endpoint = Annotated[str, StringConstraints(pattern=r"^https?://[A-Za-z0-9.\-\[\]:]+/?$")]
Tag = Annotated[str, StringConstraints(min_length=1, max_length=128)]


class S3StagingSettings(BaseModel):
    """A bucket that holds the staged archives: AWS, MinIO, Ceph, SeaweedFS or any other S3. Sizes are bytes."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    kind: Literal["s3"] = Field(description="A bucket of an S3.")
    bucket: str = Field(
        pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$", description="The bucket; it must be there."
    )
    capacity_bytes: PositiveInt = Field(
        description="Most bytes that staging may take: an S3 does not say how much room it has."
    )
    endpoint_url: Endpoint | None = Field(
        None, description="Where the S3 is, such as `https://s3.example.org`; without it, AWS."
    )
    region: str = Field("us-east-1", pattern=r"^[A-Za-z0-9-]+$", description="Its region.")
    prefix: str = Field(
        "",
        max_length=200,
        pattern=r"^([A-Za-z0-9!_.*'()-]+/)*$",
        description="What the keys begin with, such as `scicat-staging/`; no other service may use it.",
    )
    addressing: Literal["auto", "path", "virtual"] = Field(
        "auto", description="Whether the bucket's name is in the URL's path or its host name."
    )
    access_key_id: str | None = Field(
        None,
        min_length=1,
        description="The key. Without it: the environment, the AWS files or the machine's role, as boto3 finds them.",
    )
    secret_access_key: SecretStr | None = Field(None, min_length=1, description="The key's secret.")
    session_token: SecretStr | None = Field(None, description="The token of a key that is lent for a time.")
    ca_bundle: Path | None = Field(
        None, description="File with the CA certificates to trust; by default those that boto3 brings."
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
    connect_timeout: float = Field(10.0, gt=0, le=3600, description="How long a connection may take.")
    read_timeout: float = Field(60.0, gt=0, le=3600, description="How long the S3 may be silent.")
    attempts: int = Field(5, ge=1, le=50, description="How often a request is sent in all.")

    @model_validator(mode="after")
    def _key_and_secret_go_together(self) -> Self:
        if (self.access_key_id is None) != (self.secret_access_key is None):
            raise ValueError("set `access_key_id` and `secret_access_key`, or neither")
        if self.session_token is not None and self.access_key_id is None:
            raise ValueError("`session_token` goes with `access_key_id` and `secret_access_key`")
        return self

    @property
    def signs_payload(self) -> bool:
        """Whether what is sent is part of the signature."""
        if self.sign_payload is not None:
            return self.sign_payload
        return self.endpoint_url is not None and self.endpoint_url.startswith("http:")
