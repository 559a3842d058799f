"""Reading ALL datablocks of a dataset, one at a time."""

from __future__ import annotations

from collections.abc import Generator, Iterator

from scicat_retriever.catalogue.answer import Answer
from scicat_retriever.catalogue.datablocks.entry import datablock_from
from scicat_retriever.catalogue.datablocks.routes import COUNT, LIST, ROUTES, Route, of_dataset
from scicat_retriever.catalogue.datablocks.words import Words
from scicat_retriever.catalogue.datasets.datasets import Datasets
from scicat_retriever.catalogue.listing import elements
from scicat_retriever.catalogue.session import Session
from scicat_retriever.catalogue.wire import amount
from scicat_retriever.domain.dataset import CataloguedDatablock, Dataset
from scicat_retriever.domain.errors import (
    CatalogueAnswerUnreadable,
    CatalogueLoginFailed,
    CatalogueUnavailable,
    DatablocksMissing,
)
from scicat_retriever.domain.ids import DatasetPid

HEADROOM = 100
"""Number of datablocks asked for beyond SciCat's count, since some may be added in between."""

UNCOUNTED_LIMIT = 1_000_000
"""Number of datablocks asked for where SciCat does not let us count."""

_Blocks = Generator[CataloguedDatablock, None, CatalogueUnavailable | None]
"""Gives datablocks and, at its end, an error where more may be shown another time."""


class Datablocks:
    """The datablocks in SciCat."""

    def __init__(self, session: Session, datasets: Datasets) -> None:
        self._session = session
        self._datasets = datasets
        self._first: Route = LIST

    def read(self, pid: DatasetPid) -> Iterator[CataloguedDatablock]:
        """Give all datablocks of a dataset, with memory for one of them.

        One route is asked after the other, until the datablocks shown have the sums that the dataset
        declares. If they never have, the routes have to agree (see `Words`). Each datablock is given once,
        whichever route shows it first. If the routes do not agree, all routes are asked once more after a
        fresh login: an account's groups are those of its login, a token that ran out may be taken for
        anybody's, and datablocks may have come in between.

        The route that showed all is asked first from then on. Which one that is depends on SciCat's release
        and on the account's groups.

        Raises:
            DatablocksMissing: There are none, or fewer than SciCat counts.
            DatablocksInvisible: Nothing proves that SciCat shows all of them.
            CatalogueEntryInvalid: An entry cannot be worked with.
            CatalogueUnavailable: The answer broke off, or a route that is needed fails; begin again.
        """
        words = Words(pid)
        declared = self._datasets.read(pid)
        proven = yield from self._shown(words, declared, renewed=False)
        if not proven:
            self._session.renew()
            words.begin_again()
            declared = self._datasets.read(pid)
            proven = yield from self._shown(words, declared, renewed=True)
        if not proven:
            raise words.error(declared, self._session.account)
        complete = words.complete()
        if complete and self._first not in complete:
            self._first = complete[0]

    def _shown(
        self, words: Words, declared: Dataset, *, renewed: bool
    ) -> Generator[CataloguedDatablock, None, bool]:
        """Give the datablocks that were not given before; say at the end whether all of them are proved."""
        broken: CatalogueUnavailable | None = None
        for route in sorted(ROUTES, key=lambda each: each is not self._first):
            broken = (yield from self._shown_by(route, words)) or broken
            if words.agree_with(declared):
                return True
        if not words.agree_among_themselves(declared, renewed=renewed):
            if broken is not None:
                raise broken
            return False
        return True

    def _shown_by(self, route: Route, words: Words) -> _Blocks:
        limit = self._limit(words) if route is LIST else 0
        request = route.request(words.pid, limit)
        with self._session.stream("GET", request.path, query=request.query) as response:
            if not response.is_success:
                return _closed(route, self._session.read(response, f"GET {request.path}"))
            words.by_route[route] = set()
            pieces = self._session.pieces(response, f"GET {request.path}")
            for number, entry in enumerate(elements(pieces, request.prefix, "datablocks")):
                block = datablock_from(entry, words.pid, number)
                # One datablock may have 100,000 files; nothing holds on to them while the next one is parsed.
                del entry
                if words.take(route, block):
                    yield block
                del block
        if limit and len(words.by_route[route]) >= limit:
            raise DatablocksMissing(
                f"SciCat lists {len(words.by_route[route])} datablocks of dataset {words.pid} and may have more"
            )
        return None

    def _limit(self, words: Words) -> int:
        answer = self._session.ask("GET", COUNT, query={"filter": of_dataset(words.pid)})
        if answer.status == 403 or answer.route_missing:
            return UNCOUNTED_LIMIT
        if not answer.ok:
            raise answer.error()
        words.counted = amount(answer.json_object().get("count"))
        if words.counted is None:
            raise CatalogueAnswerUnreadable(
                f"SciCat does not say how many datablocks dataset {words.pid} has"
            )
        return words.counted + HEADROOM


def _closed(route: Route, refused: Answer) -> CatalogueUnavailable | None:
    """Give the error of a route that shows nothing now and may show datablocks another time; else None.

    A database, for one, refuses documents above 16 MB.

    Raises:
        CatalogueError: The list is refused for another reason than a missing right, or the account is.
    """
    error = refused.error()
    if isinstance(error, CatalogueUnavailable):
        return error
    if isinstance(error, CatalogueLoginFailed) or (route is LIST and refused.status not in (403, 404)):
        raise error
    return None
