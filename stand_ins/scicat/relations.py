"""Datablocks inside a dataset: ``?include=datablocks`` and ``filter.include``, with the ``scope`` of each."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from stand_ins.scicat.access import Access
from stand_ins.scicat.answers import JsonObject, framework_refusal
from stand_ins.scicat.call import Call
from stand_ins.scicat.filters import limits_of, matching, project
from stand_ins.scicat.store import Store

_MODELLED = ("datablocks", "origdatablocks")
_KNOWN = frozenset({*_MODELLED, "attachments", "instruments", "proposals", "samples", "all"})


@dataclass(frozen=True)
class Wanted:
    """One relation that a request asks for: its name, and the ``scope`` that chooses among its records."""

    name: str
    scope: Mapping[str, Any] = field(default_factory=dict)


def wanted_by_filter(given: JsonObject) -> list[Wanted]:
    """Read ``filter.include``: names, or objects with ``relation`` and ``scope``."""
    include = given.get("include")
    if not isinstance(include, list):
        return []
    return [
        Wanted(str(one.get("relation")), one.get("scope") or {})
        if isinstance(one, dict)
        else Wanted(str(one))
        for one in include
    ]


def wanted_by_query(call: Call) -> list[Wanted]:
    """Read v4's ``?include=``, once or several times, with commas; refuses what is no relation.

    A JSON list is not understood and counts for nothing, as in SciCat.
    """
    values = [value for value in call.arguments("include") if not value.startswith("[")]
    names = [name for value in values for name in value.split(",")]
    for name in names:
        if name not in _KNOWN:
            text = f'Provided include field "{name}" is not part of the dataset relations'
            raise framework_refusal(400, text)
    return [Wanted(name) for name in names]


class Relations:
    """Adds the wanted relations to datasets.

    Args:
        store: the records.
        access: the rights.
    """

    def __init__(self, store: Store, access: Access) -> None:
        self._store = store
        self._access = access

    def added(self, shown: JsonObject, wanted: Iterable[Wanted], call: Call) -> JsonObject:
        """Give a shown dataset with the records of each wanted relation that the caller may see."""
        more = dict(shown)
        for one in wanted:
            if one.name in _MODELLED:
                more[one.name] = self._records(one, shown["pid"], call)
        return more

    def _records(self, wanted: Wanted, pid: str, call: Call) -> list[JsonObject]:
        blocks = self._store.datablocks if wanted.name == "datablocks" else self._store.origdatablocks
        visible = [one for one in blocks.of(pid) if self._may_include(wanted.name, call, one)]
        # A sort has no effect here.
        found = matching(visible, wanted.scope.get("where"))
        limit, skip = limits_of(dict(wanted.scope), None)
        page = found[skip:] if limit is None else found[skip : skip + limit]
        return [project(_as_part(one), wanted.scope.get("fields"), always=("_id",)) for one in page]

    def _may_include(self, name: str, call: Call, block: JsonObject) -> bool:
        # v3 includes the datablocks for everybody who may read the dataset; v4 decides for each datablock.
        every = name == "datablocks" and self._access.may_include_every_datablock(call.account)
        return call.version == "v3" or every or self._access.may_see(call.account, block)


def _as_part(block: JsonObject) -> JsonObject:
    """Give a datablock as it stands inside a dataset: without the doubled ids."""
    files = [{key: value for key, value in one.items() if key != "id"} for one in block["dataFileList"]]
    return {**{key: value for key, value in block.items() if key != "id"}, "dataFileList": files}
