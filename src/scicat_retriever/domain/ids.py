"""Identifiers that a type checker keeps from being swapped."""

from typing import NewType

JobId = NewType("JobId", str)
"""A SciCat job's `id` (a UUID in practice; treated as opaque text)."""

DatasetPid = NewType("DatasetPid", str)
"""A SciCat dataset's persistent identifier, with prefix and slash: `20.500.12345/abc`."""

DatablockId = NewType("DatablockId", str)
"""A SciCat datablock's `id`."""

ArchiveId = NewType("ArchiveId", str)
"""A datablock's `archiveId`: its name in the long-term store, unique in the whole catalogue."""
