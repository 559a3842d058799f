"""The answer to ListObjectsV2."""

from __future__ import annotations

import bisect
from collections.abc import Callable, Mapping
from datetime import datetime
from urllib.parse import quote, unquote
from xml.sax.saxutils import escape

from stand_ins.tape.backend import ListedTapeBackend, TapeFile
from stand_ins.tape.glacier_words import Refusal, RestoreHeader

MOST_KEYS = 1000
"""Keys in one answer, as with S3."""


def listing(
    library: ListedTapeBackend,
    bucket: str,
    query: Mapping[str, str],
    *,
    etag: Callable[[TapeFile], str],
    storage_class: Callable[[TapeFile], str],
    restore: Callable[[TapeFile], RestoreHeader | None] | None,
    modified: datetime,
) -> str:
    """Give the XML of one page of keys.

    Args:
        library: Whose files are the objects.
        bucket: The bucket's name.
        query: The request's query.
        etag: Gives an object's ETag.
        storage_class: Gives its storage class.
        restore: Gives how far its restore is; None where that is not told.
        modified: When all objects were made (UTC).

    Raises:
        Refusal: The query cannot be answered.
    """
    if query.get("delimiter"):
        raise Refusal(501, "NotImplemented", "this server lists without delimiters")
    most = query.get("max-keys", str(MOST_KEYS))
    if not most.isdecimal():
        raise Refusal(400, "InvalidArgument", "max-keys is no number")
    prefix = query.get("prefix", "")
    after = unquote(query.get("continuation-token", "")) or query.get("start-after", "")
    names = sorted(name for name in library.names() if name.startswith(prefix))
    names = names[bisect.bisect_right(names, after) :] if after else names
    page = names[: min(int(most), MOST_KEYS)]
    told = _url if query.get("encoding-type") == "url" else escape
    parts = [
        _object(file, told(name), etag(file), storage_class(file), restore, modified)
        for name in page
        if (file := library.file(name)) is not None
    ]
    more = len(names) > len(page) > 0
    following = f"<NextContinuationToken>{escape(quote(page[-1]))}</NextContinuationToken>" if more else ""
    encoding = "<EncodingType>url</EncodingType>" if query.get("encoding-type") == "url" else ""
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
        f"<Name>{escape(bucket)}</Name><Prefix>{told(prefix)}</Prefix>{encoding}"
        f"<KeyCount>{len(parts)}</KeyCount><MaxKeys>{min(int(most), MOST_KEYS)}</MaxKeys>"
        f"<IsTruncated>{str(more).lower()}</IsTruncated>{following}{''.join(parts)}</ListBucketResult>"
    )


def _url(text: str) -> str:
    return quote(text)


def _object(
    file: TapeFile,
    key: str,
    etag: str,
    storage_class: str,
    restore: Callable[[TapeFile], RestoreHeader | None] | None,
    modified: datetime,
) -> str:
    status = restore(file) if restore is not None else None
    return (
        f"<Contents><Key>{key}</Key><LastModified>{modified:%Y-%m-%dT%H:%M:%S.000Z}</LastModified>"
        f"<ETag>{escape(etag)}</ETag><Size>{file.size}</Size><StorageClass>{storage_class}</StorageClass>"
        f"{status.as_xml() if status is not None else ''}</Contents>"
    )
