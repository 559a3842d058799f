"""What SciCat's words on the datablocks of a dataset prove.

SciCat leaves out, without a word, the datablocks that an account may not see. So no list proves that it is
complete: two words of different origin have to agree. Such words are the dataset's declared sums, and each
route that shows datablocks.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from scicat_retriever.catalogue.datablocks.routes import Route
from scicat_retriever.catalogue.rights import SEE_DATABLOCKS
from scicat_retriever.domain.dataset import CataloguedDatablock, Dataset
from scicat_retriever.domain.errors import (
    CatalogueEntryInvalid,
    CatalogueError,
    DatablocksInvisible,
    DatablocksMissing,
)
from scicat_retriever.domain.ids import DatasetPid


@dataclass(slots=True)
class Words:
    """The datablocks of a dataset that were shown, by all routes together and by each of them.

    Attributes:
        pid: The dataset.
        counted: The number of datablocks in the list, by SciCat's count; None where SciCat did not say.
        by_route: The ids of the datablocks that each route showed; a route that is not open to the account
            is missing.
        files: The number of files of all shown datablocks.
        packed: The packed bytes of all shown datablocks.
    """

    pid: DatasetPid
    counted: int | None = None
    by_route: dict[Route, set[str]] = field(default_factory=dict)
    files: int = 0
    packed: int = 0
    _archive_ids: dict[str, str] = field(default_factory=dict)

    def begin_again(self) -> None:
        """Forget which route showed which datablocks; those that were shown stay known."""
        self.counted = None
        self.by_route = {}

    def take(self, route: Route, entry: CataloguedDatablock) -> bool:
        """Note a datablock that a route shows; say whether no route has shown it before.

        Raises:
            CatalogueEntryInvalid: The route shows it twice, or another datablock has its archiveId.
        """
        block, shown = entry.datablock, self.by_route[route]
        known = self._archive_ids.get(block.archive_id)
        if block.id in shown or known not in (None, block.id):
            raise CatalogueEntryInvalid(
                f"Datablock {block.id} of dataset {self.pid} is listed twice, or its archiveId is"
            )
        shown.add(block.id)
        if known is not None:
            return False
        self._archive_ids[block.archive_id] = block.id
        self.files += block.file_count
        self.packed += block.packed_size
        return True

    @property
    def shown(self) -> int:
        """The number of datablocks that were shown in all."""
        return len(self._archive_ids)

    def complete(self) -> list[Route]:
        """Give the routes that show all datablocks that any route shows."""
        everything = set(self._archive_ids.values())
        return [route for route, ids in self.by_route.items() if ids == everything]

    def agree_with(self, declared: Dataset) -> bool:
        """Say whether the datablocks shown have exactly the sums that the dataset declares.

        Without a datablock shown, or a sum declared, they do not.
        """
        sums = ((declared.files_archived, self.files), (declared.packed_size, self.packed))
        said = [found == told for told, found in sums if told]
        return bool(self.shown and self.shown >= (self.counted or 0) and said and all(said))

    def agree_among_themselves(self, declared: Dataset, *, renewed: bool) -> bool:
        """Say whether two routes show all that is known, one of them regardless of the datablocks' groups.

        Two routes that may leave out the same datablocks count as two words only if no other route is open,
        and if the dataset declares no more than they show.

        Args:
            declared: What the dataset declares.
            renewed: Whether the account has just logged in. A route that shows nothing is then not open to
                it; before, the route may have been asked with a token that ran out meanwhile.
        """
        complete = self.complete()
        if not self.shown or self.shown < (self.counted or 0) or len(complete) < 2:
            return False
        open_to_all = [
            route for route, ids in self.by_route.items() if not route.by_groups and (ids or not renewed)
        ]
        if open_to_all:
            return any(route in complete for route in open_to_all)
        return declared.files_archived <= self.files and declared.packed_size <= self.packed

    def error(self, declared: Dataset, account: str | None) -> CatalogueError:
        """Give the error for words that do not agree."""
        if self.shown and self.counted is not None and self.counted > self.shown:
            return DatablocksMissing(
                f"SciCat counts {self.counted} datablocks of dataset {self.pid} and lists {self.shown}"
            )
        if not (self.shown or self.counted or declared.files_archived or declared.packed_size):
            return DatablocksMissing(
                f"Dataset {self.pid} has no datablocks in SciCat and declares none: it is not archived"
            )
        routes = ", ".join(f"{len(ids)} by {route.name}" for route, ids in self.by_route.items())
        return DatablocksInvisible(
            f"SciCat shows the account {account or 'of the service'} {self.shown} datablocks of dataset {self.pid}"
            f" ({routes or 'no route is open'}) with {self.files} files in {self.packed} bytes; the dataset declares"
            f" {declared.files_archived} in {declared.packed_size}. Nothing proves that these are all."
            f" {SEE_DATABLOCKS}, or have the dataset declare its sums rightly"
        )
