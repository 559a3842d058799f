"""Remarks: what is said of a datablock beside its link, where there is something to say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from scicat_retriever.domain.evidence import NO_ODDITIES
from scicat_retriever.ports.datablock_record import DatablockRecord


def remarks_on(record: DatablockRecord, held: Mapping[str, str] | None) -> dict[str, Any]:
    """Give what most datablocks lack: `matched_by`, `passed_over`, `replaced`, `tars`, `chosen`, `asked_as`.

    Args:
        record: The datablock.
        held: The chosen files that it holds, by their catalogued paths, and the names by which they were
            chosen; None where the job chose none.
    """
    return _matched_by(record) | _oddities(record) | _chosen(held)


def _oddities(record: DatablockRecord) -> dict[str, int]:
    """Say what was taken of an odd archive by an operator's word."""
    usual = asdict(NO_ODDITIES)
    return {what: count for what, count in asdict(record.oddities).items() if count != usual[what]}


def _chosen(held: Mapping[str, str] | None) -> dict[str, Any]:
    """Say which chosen files are held, and by which names they were chosen that are spelled otherwise."""
    if held is None:
        return {}
    asked_as = {path: name for path, name in held.items() if name != path}
    return {"chosen": list(held)} | ({"asked_as": asked_as} if asked_as else {})


def _matched_by(record: DatablockRecord) -> dict[str, Any]:
    """Say which files are spelled otherwise in the archive than in the catalogue, where some are."""
    kinds = [
        {
            "spelling": each.kind.value,
            "files": each.files,
            "examples": [
                {"catalogued": catalogued, "archived": archived} for catalogued, archived in each.examples
            ],
        }
        for each in record.matched_by
    ]
    return {"matched_by": kinds} if kinds else {}
