"""The book of evidence: copies, and the staged datablocks that came of them."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, delete, exists, insert, select, update

from scicat_retriever.domain.errors import TransitionIllegal
from scicat_retriever.domain.evidence import Copied, DatablockKey, Recalled, Staged
from scicat_retriever.domain.ids import ArchiveId
from scicat_retriever.domain.states import DatablockState
from scicat_retriever.ledger.database.book import Book
from scicat_retriever.ledger.database.packing import (
    pack_matched,
    pack_oddities,
)
from scicat_retriever.ledger.database.schema import (
    copies,
    datablocks,
    pins,
)
from scicat_retriever.ledger.rows.claims import lower_claim
from scicat_retriever.ledger.rows.datablocks import (
    is_datablock,
    lock_row,
    lock_row_if_there,
    move,
)
from scicat_retriever.onepass.manifest import SealedManifest

_WITH_COPY = (DatablockState.COPIED, DatablockState.STAGED)


class SqlCopies(Book):
    """Copies and staged datablocks, as `ports.copies.Copies` promises."""

    def save(self, copied: Copied, manifest: bytes) -> None:
        """Note a finished copy with its manifest."""
        recalled = copied.recalled
        key, new = recalled.key, DatablockState.COPIED
        with self._database.writing() as connection:
            row = lock_row(self._database, connection, key, new)
            move(
                self._log,
                connection,
                key,
                row,
                new,
                bytes_done=copied.bytes_copied,
                bytes_total=copied.bytes_copied,
                unpacked=copied.unpacked,
                archive_checksum=copied.archive_checksum,
                partial=copied.partial,
            )
            connection.execute(delete(copies).where(_is_copy(key)))
            connection.execute(
                insert(copies).values(
                    pid=key.pid,
                    datablock=key.id,
                    archive_id=recalled.archive_id,
                    size=recalled.size,
                    bytes_copied=copied.bytes_copied,
                    archive_checksum=copied.archive_checksum,
                    manifest_seal=copied.manifest_seal,
                    members=copied.members,
                    manifest=manifest,
                    receipt=copied.receipt,
                )
            )

    def renew_manifest(self, key: DatablockKey, old_seal: str, renewed: SealedManifest) -> bool:
        """Put a manifest of the same copy in the place of its old one."""
        with self._database.writing() as connection:
            row = lock_row_if_there(self._database, connection, key)
            if row is None or row.state != DatablockState.STAGED:
                return False
            its = update(copies).where(_is_copy(key), copies.c.manifest_seal == old_seal)
            values = {"manifest": renewed.blob, "manifest_seal": renewed.seal, "members": renewed.members}
            return connection.execute(its.values(values)).rowcount == 1

    def get(self, key: DatablockKey) -> Copied | None:
        """The evidence of a finished copy, while it is good."""
        with self._database.reading() as connection:
            return _copied(connection, key)

    def manifest(self, key: DatablockKey) -> bytes | None:
        """The manifest of the last finished copy."""
        with self._database.reading() as connection:
            return connection.scalar(select(copies.c.manifest).where(_is_copy(key)))

    def save_staged(self, staged: Staged) -> None:
        """Note verified bytes in staging."""
        verified = staged.verified
        key, new = verified.copied.recalled.key, DatablockState.STAGED
        with self._database.writing() as connection:
            row = lock_row(self._database, connection, key, new)
            proven = _copied(connection, key)
            values: dict[str, Any] = {
                "integrity": verified.integrity,
                "matched_by": pack_matched(verified.matched_by),
                "oddities": pack_oddities(verified.oddities),
            }
            if row.state != new:
                now = self._clock()
                is_pinned = select(exists().where(pins.c.pid == key.pid))
                values |= {"staged_at": now, "used_at": now, "checked_at": now}
                values["pinned"] = connection.scalar(is_pinned)
            move(self._log, connection, key, row, new, **values)
            if proven != verified.copied:
                raise TransitionIllegal(
                    f"Datablock {key.id} of {key.pid} cannot become {new}: another copy was verified."
                )
            if row.state != new:
                lower_claim(connection, key.pid, row.bytes_total)

    def known_manifest(self, key: DatablockKey) -> SealedManifest | None:
        """The manifest of the last copy of an archive of today's catalogue entry."""
        its = select(copies.c.manifest, copies.c.manifest_seal, copies.c.members)
        with self._database.reading() as connection:
            row = connection.execute(its.where(_is_copy(key))).first()
        return None if row is None else SealedManifest(row.manifest, row.manifest_seal, row.members)


def _is_copy(key: DatablockKey) -> ColumnElement[bool]:
    return and_(copies.c.pid == key.pid, copies.c.datablock == key.id)


def _copied(connection: Connection, key: DatablockKey) -> Copied | None:
    c = copies.c
    wanted = (
        select(
            c.archive_id,
            c.size,
            c.bytes_copied,
            c.archive_checksum,
            c.manifest_seal,
            c.members,
            datablocks.c.partial,
            datablocks.c.unpacked,
            c.receipt,
        )
        .join_from(datablocks, copies, and_(c.pid == datablocks.c.pid, c.datablock == datablocks.c.id))
        .where(is_datablock(key), datablocks.c.state.in_(_WITH_COPY))
    )
    row = connection.execute(wanted).first()
    if row is None:
        return None
    recalled = Recalled(key, ArchiveId(row.archive_id), row.size)
    return Copied(
        recalled=recalled,
        bytes_copied=row.bytes_copied,
        archive_checksum=row.archive_checksum,
        manifest_seal=row.manifest_seal,
        members=row.members,
        partial=row.partial,
        receipt=row.receipt,
        unpacked=row.unpacked,
    )
