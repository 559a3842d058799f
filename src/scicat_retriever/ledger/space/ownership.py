"""The book of ownership: the identity of the ledger, and the staging areas that are its own."""

from __future__ import annotations

import uuid

from sqlalchemy import insert, select

from scicat_retriever.ledger.database.book import Book
from scicat_retriever.ledger.database.schema import identity, marked_areas


class SqlOwnership(Book):
    """The identity and the marked areas, as `ports.ownership.Ownership` promises."""

    def identity(self) -> str:
        """The ledger's own identity, made when it is asked for the first time."""
        with self._database.reading() as connection:
            known: str | None = connection.scalar(select(identity.c.id))
        if known is not None:
            return known
        with self._database.writing() as connection:
            self._database.lock(connection, "identity")
            known = connection.scalar(select(identity.c.id))
            if known is None:
                known = str(uuid.uuid4())
                connection.execute(insert(identity).values(id=known))
            return known

    def has_marked(self, location: str) -> bool:
        """Whether the area at a location was marked."""
        with self._database.reading() as connection:
            found = connection.scalar(select(marked_areas.c.place).where(marked_areas.c.place == location))
            return found is not None

    def note_marked(self, location: str) -> None:
        """Note that the area at a location was marked."""
        with self._database.writing() as connection:
            self._database.lock(connection, "marked", location)
            found = connection.scalar(select(marked_areas.c.place).where(marked_areas.c.place == location))
            if found is None:
                connection.execute(insert(marked_areas).values(place=location, at=self._clock()))
