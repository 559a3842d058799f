"""The files that a dataset had before it was archived. SciCat checks the `files` of a new job by them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from scicat_retriever.catalogue.listing import elements
from scicat_retriever.catalogue.session import Session
from scicat_retriever.catalogue.wire import amount, encoded
from scicat_retriever.domain.dataset import OriginalFile
from scicat_retriever.domain.errors import CatalogueUnavailable
from scicat_retriever.domain.ids import DatasetPid

_PATH = "/api/v3/datasets"


class OriginalFiles:
    """The lists of original files in SciCat.

    Args:
        session: The requests.
    """

    def __init__(self, session: Session) -> None:
        self._session = session

    def read(self, pid: DatasetPid) -> Iterator[OriginalFile]:
        """Give the original files of a dataset that SciCat shows, with memory for one datablock of them.

        They are no more than a second word on a file's name: an entry that cannot be read is passed over, and
        there are none where the account may not see them. The route is the one that shows them to each
        account that may read the dataset.

        Raises:
            CatalogueUnavailable: SciCat does not answer, or its answer broke off.
        """
        criteria = {"where": {"pid": pid}, "include": [{"relation": "origdatablocks"}]}
        with self._session.stream("GET", _PATH, query={"filter": encoded(criteria).decode()}) as response:
            if not response.is_success:
                error = self._session.read(response, f"GET {_PATH}").error()
                if isinstance(error, CatalogueUnavailable):
                    raise error
                return
            pieces = self._session.pieces(response, f"GET {_PATH}")
            for block in elements(pieces, "item.origdatablocks.item", "datasets"):
                yield from _files(block)


def _files(block: object) -> Iterator[OriginalFile]:
    files = block.get("dataFileList") if isinstance(block, Mapping) else None
    algorithm = _text(block.get("chkAlg")) if isinstance(block, Mapping) else None
    for file in files if isinstance(files, list) else ():
        if isinstance(file, Mapping) and (path := _text(file.get("path"))) is not None:
            yield OriginalFile(path, amount(file.get("size")), _text(file.get("chk")), algorithm)


def _text(value: Any) -> str | None:  # noqa: ANN401 - whatever SciCat holds
    return value if isinstance(value, str) and value else None
