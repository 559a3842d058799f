"""The routes by which SciCat shows the datablocks of a dataset, none of them to every account.

The accounts that each route is open to, by the backend's group settings, as observed:

    list           up to v5.2.1 DELETE_GROUPS, later ADMIN_GROUPS alone; to others, datablocks of their groups
    include, v4    up to v5.2.1 ADMIN_GROUPS and accounts in the dataset's groups; later
                   UPDATE_DATASET_LIFECYCLE_GROUPS, too
    include, v3    accounts that may read the dataset, whatever the groups of its datablocks are

`GET /api/v3/datasets/{pid}/datablocks` is none of them: it cuts the list at 100 and does not say so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from scicat_retriever.catalogue.datasets.datasets import dataset_path
from scicat_retriever.catalogue.wire import encoded
from scicat_retriever.domain.ids import DatasetPid

COUNT = "/api/v3/datablocks/count"
"""The count of the list. It has the same filter as the list, so it proves only that the list was not cut."""


@dataclass(frozen=True, slots=True)
class Request:
    """A question for the datablocks of one dataset.

    Attributes:
        path: The path below the backend's root.
        query: Its parameters.
        prefix: Where the answer has the datablocks (ijson).
    """

    path: str
    query: Mapping[str, str]
    prefix: str


@dataclass(frozen=True, slots=True)
class Route:
    """A way to see datablocks.

    Attributes:
        name: Its name in messages.
        by_groups: Whether it may leave out, without a word, datablocks whose groups the account is not in.
    """

    name: str
    by_groups: bool

    def request(self, pid: DatasetPid, limit: int) -> Request:
        """Give the question; for at most `limit` datablocks, where the route has a limit."""
        if self is LIST:
            return Request("/api/v3/datablocks", {"filter": of_dataset(pid, limits={"limit": limit})}, "item")
        if self is INCLUDE:
            return Request(dataset_path(pid), {"include": "datablocks"}, "datablocks.item")
        criteria = {"where": {"pid": pid}, "include": [{"relation": "datablocks"}]}
        query = {"filter": encoded(criteria).decode()}
        return Request("/api/v3/datasets", query, "item.datablocks.item")


LIST = Route("the list", by_groups=True)
INCLUDE = Route("include of v4", by_groups=True)
INCLUDE_V3 = Route("include of v3", by_groups=False)
ROUTES = (LIST, INCLUDE, INCLUDE_V3)
"""All routes, in the order in which they are asked before one is known to show all."""


def of_dataset(pid: DatasetPid, **more: Any) -> str:  # noqa: ANN401 - SciCat's own criteria
    """Give the filter for the datablocks of a dataset."""
    return encoded({"where": {"datasetId": pid}, **more}).decode()
