"""How to reach a bucket. It stands apart from the code, which takes long to import."""

from __future__ import annotations

import ipaddress
import re
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr, model_validator

from scicat_retriever.section import Section


def _endpoint(value: str) -> str:
    if re.fullmatch(r"https?://[A-Za-z0-9.\-\[\]:]+/?", value) is None:
        raise ValueError("must be https://host[:port] or http://host[:port], with no user and no path")
    return value


def _bucket_name(value: str) -> str:
    if re.fullmatch(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", value) is None:
        raise ValueError(
            "must be 3 to 63 small letters, digits, dots and hyphens, that begin and end with a letter or a digit"
        )
    return value


Endpoint = Annotated[str, AfterValidator(_endpoint)]


class S3Access(Section):
    """A bucket, and the key that opens it. Durations are seconds."""

    kind: str = Field(description="What the bucket is for.")
    bucket: Annotated[str, AfterValidator(_bucket_name)] = Field(description="The bucket; it must be there.")
    endpoint_url: Endpoint | None = Field(
        None, description="Where the S3 is, such as `https://s3.example.org`; without it, AWS."
    )
    region: str = Field("us-east-1", pattern=r"^[A-Za-z0-9-]+$", description="Its region.")
    addressing: Literal["auto", "path", "virtual"] = Field(
        "auto", description="Whether the bucket's name is in the URL's path or its host name."
    )
    access_key_id: str | None = Field(
        None,
        min_length=1,
        description="The key. Without it: the environment, the AWS files or the machine's role, as boto3 finds them.",
    )
    secret_access_key: SecretStr | None = Field(None, min_length=1, description="The key's secret.")
    session_token: SecretStr | None = Field(
        None,
        description="The token of a key that is lent for a time. It is sent along, so only over `https://`.",
    )
    ca_bundle: Path | None = Field(
        None, description="File with the CA certificates to trust; by default those that boto3 brings."
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

    @model_validator(mode="after")
    def _token_is_kept_secret(self) -> Self:
        # The secret of a key is never sent, its token is with each request.
        if self.session_token is not None and not _keeps_secrets(self.endpoint_url):
            raise ValueError(
                "`endpoint_url` must begin with https://: a `session_token` is sent over https only"
            )
        return self

    @property
    def signs_payload(self) -> bool:
        """Whether the bytes that are sent are part of the signature: where TLS does not protect them."""
        return self.endpoint_url is not None and self.endpoint_url.startswith("http:")

    @property
    def place(self) -> str:
        """Name the bucket, and where it is."""
        return f"the bucket {self.bucket} at {self.endpoint_url or f'AWS, {self.region}'}"


def _keeps_secrets(endpoint_url: str | None) -> bool:
    if endpoint_url is None or endpoint_url.startswith("https:"):
        return True
    try:
        host = urlsplit(endpoint_url).hostname or ""
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
