"""Batches that were seen once, and have to be the same ever after."""

from __future__ import annotations

from array import array
from collections.abc import Iterator

from scicat_retriever.computed.entries import Batch, Batches
from scicat_retriever.computed.errors import EntriesChanged
from scicat_retriever.computed.etag import Columns, EtagMaker, columns_of
from scicat_retriever.computed.names import Names, names_of


class SeenBatches:
    """The batches of a layout, of which eight bytes each are kept.

    Args:
        batches: the entries.
        version: the layout's version, for the tag.
    """

    def __init__(self, batches: Batches, version: str) -> None:
        self._batches = batches
        self._etag = EtagMaker(version)
        self._hashes = array("q")

    def __len__(self) -> int:
        return len(self._hashes)

    def first(self) -> Iterator[tuple[Batch, Names]]:
        """Give each batch for the first time, in order. To be called once.

        Raises:
            BadEntry: an entry that no archive can hold.
        """
        for index in range(len(self._batches)):
            batch = self._batches[index]
            names = names_of(batch)
            columns = columns_of(batch, names)
            self._etag.add(columns)
            self._hashes.append(_hash(batch, columns))
            yield batch, names

    def again(self, index: int) -> tuple[Batch, Names]:
        """Give a batch again.

        Raises:
            EntriesChanged: it is not as it was the first time.
        """
        batch = self._batches[index]
        names = names_of(batch)
        if _hash(batch, columns_of(batch, names)) != self._hashes[index]:
            raise EntriesChanged(
                f"batch {index} of {self.etag} is not as it was when the archive was laid out"
            )
        return batch, names

    @property
    def etag(self) -> str:
        """The tag of all entries, once all have been given."""
        return self._etag.etag()


def _hash(batch: Batch, columns: Columns) -> int:
    return hash((columns, tuple(batch.sources), tuple(batch.offsets)))
