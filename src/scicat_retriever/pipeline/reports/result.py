"""The `jobResultObject`: one entry for each dataset, each with its page; never longer than SciCat can carry.

What there is to know of a single datablock (its checksum, its link, which files it holds) is on the page of
its dataset, so that the object does not grow with the datablocks.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from scicat_retriever.domain.evidence import Integrity
from scicat_retriever.domain.ids import DatasetPid
from scicat_retriever.pipeline.reports.fitting import first_that_fit
from scicat_retriever.ports.datablock_record import DatablockRecord

RESULT_LIMIT = 1_000_000
"""Longest `jobResultObject` in bytes of JSON. SciCat gives whole jobs to whoever lists them, prints each
entry into its mail, and keeps a job in one document of MongoDB; that and its own bodies end at 16 MB."""
_THINGS = {"result": "datasets", "errors": "errors", "remarks": "remarks"}
_ROOM_FOR_WORDS = 4000
"""Bytes of the page's link, of what is left out, and of the keys."""


def dataset_entry(
    pid: DatasetPid, name: str, page: str, records: Sequence[DatablockRecord], expires: datetime | None
) -> dict[str, Any]:
    """Give the entry of a dataset that was retrieved: the sums over the datablocks that the job needs of it.

    Args:
        pid: The dataset.
        name: What the dataset is called.
        page: The link of its page, which stays good: it says, too, where nothing is kept any more.
        records: Its datablocks.
        expires: Until when it can be downloaded; None where it is not kept for the job any more.
    """
    verified = bool(records) and all(each.integrity is Integrity.VERIFIED for each in records)
    sums = {
        "respelled": sum(each.files for record in records for each in record.matched_by),
        "passed_over": sum(each.oddities.passed_over for each in records),
        "replaced": sum(each.oddities.replaced for each in records),
    }
    return {
        "datasetId": pid,
        "name": name,
        "size": sum(each.bytes_total for each in records),
        "url": page,
        "expires": None if expires is None else timestamp(expires),
        "datablocks": len(records),
        "files": sum(each.datablock.file_count for each in records),
        "integrity": Integrity.VERIFIED if verified else Integrity.SIZE_ONLY,
        **{what: count for what, count in sums.items() if count},
    }


def fitted(body: Mapping[str, Any]) -> dict[str, Any]:
    """Give a result that SciCat can carry: the first of each list, and `left_out` where that is not all.

    Errors and remarks, which are few as a rule, get at most a half of the room; the datasets get the rest.

    Args:
        body: Of lists `result`, `errors` and perhaps `remarks`.
    """
    room = RESULT_LIMIT - _ROOM_FOR_WORDS
    kept: dict[str, Any] = {}
    for part, most in (("remarks", room // 6), ("errors", room // 3), ("result", room)):
        if part in body:
            kept[part] = first_that_fit(body[part], min(most, room))
            room -= len(json.dumps(kept[part]))
    short = [
        f"{len(every) - len(kept[part]):,} of {len(every):,} {_THINGS[part]}"
        for part, every in body.items()
        if len(kept[part]) < len(every)
    ]
    fits = {part: kept[part] for part in body}
    return fits | ({"left_out": f"{', '.join(short)} do not fit in here: the page has them"} if short else {})


def timestamp(moment: datetime) -> str:
    """Write a UTC time as SciCat does: RFC 3339 with milliseconds and `Z`."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"
