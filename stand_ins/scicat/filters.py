"""SciCat's query filters (``?filter={"where":...,"limits":...,"fields":[...]}``), the part of them observed.

Dates never match: they are stored as dates and the filter brings strings.
"""

import json
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from stand_ins.scicat.answers import JsonObject, application_refusal, framework_refusal

DATE_FIELDS = frozenset({"createdAt", "updatedAt", "creationTime"})

_JOB_WHERE_KEYS = frozenset(
    [
        "_id",
        "id",
        "type",
        "ownerUser",
        "ownerGroup",
        "accessGroups",
        "isPublished",
        "contactEmail",
        "configVersion",
        "jobParams",
        "jobResultObject",
        "statusCode",
        "statusMessage",
        "createdBy",
        "updatedBy",
        "createdAt",
        "updatedAt",
    ]
)
_FILTER_KEYS = frozenset({"where", "fields", "include", "limits", "limit", "skip", "sort"})
_LIMITS_KEYS = frozenset({"limit", "skip", "sort"})
_NONE: frozenset[str] = frozenset()


def check_job_filter(given: JsonObject, version: str) -> None:
    """Refuse what ``GET /jobs`` refuses: unknown keys, and in v3 every ``where`` and ``limits``."""
    inside = (
        {"where": _JOB_WHERE_KEYS, "limits": _LIMITS_KEYS}
        if version == "v4"
        else {"where": _NONE, "limits": _NONE}
    )
    for key, value in given.items():
        if key not in _FILTER_KEYS:
            raise _unknown_key(key)
        if key in inside and isinstance(value, dict):
            for name, wanted in value.items():
                if not name.startswith("$") and name.partition(".")[0] not in inside[key]:
                    raise _unknown_key(f"{key}.{_first_path(name, wanted)}")


def sort_jobs(jobs: list[JsonObject], given: JsonObject, *, by_limits: bool) -> list[JsonObject]:
    """Order jobs as a filter says.

    Args:
        jobs: oldest first.
        given: the filter.
        by_limits: whether the release looks at ``limits.sort`` (``asc``, ``desc``, 1 or -1) and not at the
            ``sort`` beside it (1 or -1 alone), or the reverse.
    """
    sort = (given.get("limits") or {}).get("sort") if by_limits else given.get("sort")
    for key, direction in (sort or {}).items():
        if not by_limits and direction not in (1, -1):
            raise application_refusal(400, f'Illegal key in $sort specification: {key}: "{direction}"')
    for key, direction in reversed(list((sort or {}).items())):
        jobs = sorted(jobs, key=lambda job: str(job.get(key, "")), reverse=direction in (-1, "-1", "desc"))
    return jobs


def check_job_limit(given: JsonObject) -> None:
    """Refuse a ``limits.limit`` that is no number or negative, in the words of the database."""
    limit = (given.get("limits") or {}).get("limit")
    if limit is None:
        return
    stage = "invalid argument to $limit stage: Expected a"
    if isinstance(limit, bool) or not isinstance(limit, int):
        raise application_refusal(400, f"{stage} number in: $limit: {json.dumps(limit)}")
    if limit < 0:
        raise application_refusal(400, f"{stage} non-negative number in: $limit: {limit}")


def matching(records: Iterable[JsonObject], where: object) -> list[JsonObject]:
    """Give the records that fulfil a ``where``: equality, the operators of ``_OPERATORS``, ``$and``, ``$or``."""
    if not isinstance(where, dict) or not where:
        return list(records)
    return [record for record in records if _fulfils(record, where)]


def limits_of(given: JsonObject, default: int | None) -> tuple[int | None, int]:
    """Read ``limits.limit`` and ``limits.skip``; a ``limit`` at the top level has no effect in SciCat."""
    limits = given.get("limits") or {}
    limit = limits.get("limit", default)
    return (int(limit) if limit is not None else None), int(limits.get("skip", 0))


def project(record: JsonObject, fields: object, always: Sequence[str] = ()) -> JsonObject:
    """Reduce a record to the wanted fields (and ``always``); no fields means all of it."""
    if not isinstance(fields, list) or not fields:
        return record
    return {key: value for key, value in record.items() if key in fields or key in always}


def _first_path(name: str, value: object) -> str:
    """Name the first path into a condition, as ``id.$in``."""
    while isinstance(value, dict) and value:
        inner, value = next(iter(value.items()))
        name = f"{name}.{inner}"
    return name


def _unknown_key(key: str) -> Exception:
    return framework_refusal(400, f"Property {key} should not exist in the filter object")


def _fulfils(record: JsonObject, where: dict[str, Any]) -> bool:
    for key, wanted in where.items():
        if key == "$and":
            good = all(_fulfils(record, part) for part in wanted)
        elif key == "$or":
            good = any(_fulfils(record, part) for part in wanted)
        else:
            good = _condition(key, _values(record, key.split(".")), wanted)
        if not good:
            return False
    return True


def _condition(key: str, values: list[object], wanted: object) -> bool:
    if key in DATE_FIELDS:
        return False
    if isinstance(wanted, dict) and wanted and all(name.startswith("$") for name in wanted):
        return all(
            _OPERATORS[name](values, operand) for name, operand in wanted.items() if name in _OPERATORS
        )
    return wanted in values


def _values(record: object, path: list[str]) -> list[object]:
    """Give the values at a dotted path; a list on the way stands for each of its elements (as in MongoDB)."""
    if isinstance(record, list):
        return [value for element in record for value in _values(element, path)] + ([] if path else [record])
    if not path:
        return [record]
    return _values(record[path[0]], path[1:]) if isinstance(record, dict) and path[0] in record else []


_OPERATORS: dict[str, Callable[[list[object], Any], bool]] = {
    "$in": lambda values, operand: any(value in operand for value in values),
    "$nin": lambda values, operand: all(value not in operand for value in values),
    "$eq": lambda values, operand: operand in values,
    "$ne": lambda values, operand: operand not in values,
    "$exists": lambda values, operand: bool(values) == bool(operand),
    "$regex": lambda values, operand: any(isinstance(v, str) and re.search(operand, v) for v in values),
}
