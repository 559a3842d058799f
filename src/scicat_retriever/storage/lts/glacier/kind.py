"""The kind `s3_glacier`, for the table of stores."""

from scicat_retriever.ports.long_term_store import LongTermStore
from scicat_retriever.storage.lts.glacier.settings import S3GlacierSettings
from scicat_retriever.storage.lts.store_kind import StoreKind


def _open(settings: S3GlacierSettings, section: str) -> LongTermStore:
    # Deferred: boto3 takes most of a second to import.
    from scicat_retriever.storage.lts.glacier.store import S3Glacier

    return S3Glacier(settings, section)


S3_GLACIER = StoreKind(S3GlacierSettings, _open, has_tapes=False)
"""A bucket whose objects are archived and restored."""
