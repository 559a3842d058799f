"""Reading ALL datablocks of a dataset, one at a time."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import Any

import httpx2

from scicat_retriever.catalogue.datablock_entry import datablock_from
from scicat_retriever.catalogue.datasets import Datasets, dataset_path
from scicat_retriever.catalogue.listing import elements
from scicat_retriever.catalogue.session import Session
from scicat_retriever.catalogue.wire import amount, encoded
from scicat_retriever.domain.dataset import CataloguedDatablock
from scicat_retriever.domain.errors import (
    CatalogueAnswerUnreadable,
    CatalogueEntryInvalid,
    CatalogueError,
    DatablocksInvisible,
    DatablocksMissing,
)
from scicat_retriever.domain.ids import DatasetPid

HEADROOM = 100
"""How many more datablocks are asked for than SciCat counts, since some may be added in between."""

UNCOUNTED_LIMIT = 1_000_000
"""How many are asked for where SciCat does not let us count."""

COUNT = "/api/v3/datablocks/count"
LIST = "/api/v3/datablocks"

_Blocks = Generator[CataloguedDatablock, None, int]
"""Gives datablocks and, at its end, how many there were."""


class Datablocks:
    """The datablocks in SciCat."""

    def __init__(self, session: Session, datasets: Datasets) -> None:
        self._session = session
        self._datasets = datasets

    def read(self, pid: DatasetPid) -> Iterator[CataloguedDatablock]:
        """Give all datablocks of a dataset, in memory for one of them.

        SciCat's list is asked first: the one route without its silent limit of 100 that every group setting with
        rights on datablocks opens. It answers `[]` to whoever lacks the right, or whose token ran out; so an empty
        list is asked again after a fresh login, then the dataset itself is asked, and then it is an error.

        Raises:
            DatablocksMissing: There are none, or fewer than SciCat counts.
            DatablocksInvisible: SciCat shows none and declares some.
            CatalogueEntryInvalid: An entry cannot be worked with.
            CatalogueUnavailable: The answer broke off; begin again.
        """
        counted = self._count(pid)
        seen = yield from self._listed(pid, counted)
        if not seen and self._session.renew():
            counted = self._count(pid)
            seen = yield from self._listed(pid, counted)
        if not seen:
            seen = yield from self._included(pid)
        if not seen:
            raise self._none_shown(pid, counted)
        if counted is not None and seen < counted:
            raise DatablocksMissing(f"SciCat counts {counted} datablocks of dataset {pid} and lists {seen}")

    def _count(self, pid: DatasetPid) -> int | None:
        answer = self._session.ask("GET", COUNT, query={"filter": _filter(pid)})
        if answer.status == 403 or answer.route_missing:
            return None
        if not answer.ok:
            raise answer.error()
        count = amount(answer.json_object().get("count"))
        if count is None:
            raise CatalogueAnswerUnreadable(f"SciCat does not say how many datablocks dataset {pid} has")
        return count

    def _listed(self, pid: DatasetPid, counted: int | None) -> _Blocks:
        limit = UNCOUNTED_LIMIT if counted is None else counted + HEADROOM
        with self._session.stream("GET", LIST, query={"filter": _filter(pid, limit)}) as response:
            if not response.is_success:
                answer = self._session.read(response, f"GET {LIST}")
                if answer.status == 403 or answer.route_missing:
                    return 0
                raise answer.error()
            seen = yield from _entries(response, "item", pid)
        if seen >= limit:
            raise DatablocksMissing(f"SciCat lists {seen} datablocks of dataset {pid} and may have more")
        return seen

    def _included(self, pid: DatasetPid) -> _Blocks:
        path = dataset_path(pid)
        with self._session.stream("GET", path, query={"include": "datablocks"}) as response:
            if not response.is_success:
                answer = self._session.read(response, f"GET {path}")
                if answer.status in (403, 404):
                    return 0
                raise answer.error()
            return (yield from _entries(response, "datablocks.item", pid))

    def _none_shown(self, pid: DatasetPid, counted: int | None) -> CatalogueError:
        dataset = self._datasets.read(pid)
        if counted or dataset.files_archived or dataset.packed_size:
            return DatablocksInvisible(
                f"SciCat shows no datablocks of dataset {pid}, which declares {dataset.files_archived} archived files"
                f" in {dataset.packed_size} bytes; the service's account may lack the right to see them"
            )
        return DatablocksMissing(
            f"Dataset {pid} has no datablocks in SciCat and declares none: it is not archived"
        )


def _filter(pid: DatasetPid, limit: int | None = None) -> str:
    criteria: dict[str, Any] = {"where": {"datasetId": pid}}
    if limit is not None:
        criteria["limits"] = {"limit": limit}
    return encoded(criteria).decode()


def _entries(response: httpx2.Response, prefix: str, pid: DatasetPid) -> _Blocks:
    ids: set[str] = set()
    archive_ids: set[str] = set()
    for entry in elements(response, prefix, "datablocks"):
        block = datablock_from(entry, pid, len(ids))
        # One datablock may have 100,000 files; nothing holds on to them while the next one is parsed.
        del entry
        datablock_id, archive_id = block.datablock.id, block.datablock.archive_id
        if datablock_id in ids or archive_id in archive_ids:
            raise CatalogueEntryInvalid(
                f"Datablock {datablock_id} of dataset {pid} is listed twice, or its archiveId is"
            )
        ids.add(datablock_id)
        archive_ids.add(archive_id)
        yield block
        del block
    return len(ids)
