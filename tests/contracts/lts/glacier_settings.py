"""The settings of S3 Glacier stores under test."""

from __future__ import annotations

from typing import Any

from scicat_retriever.storage.lts.glacier.settings import S3GlacierSettings
from tests.integration.glacier_server import BUCKET, KEY, SECRET


def settings(port: int, bucket: str = BUCKET, **others: Any) -> S3GlacierSettings:
    """The settings of a store on this machine."""
    return S3GlacierSettings.model_validate(
        {
            "kind": "s3_glacier",
            "endpoint_url": f"http://127.0.0.1:{port}",
            "addressing": "path",
            "bucket": bucket,
            "access_key_id": KEY,
            "secret_access_key": SECRET,
            "attempts": 2,
            "connect_timeout": 5,
            "read_timeout": 10,
            **others,
        }
    )
