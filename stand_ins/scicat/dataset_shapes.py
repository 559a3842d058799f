"""Datasets as SciCat stores and shows them: defaults, required fields, the v3 and the v4 view."""

import re
import uuid
from collections.abc import Callable
from datetime import datetime

from stand_ins.scicat.answers import JsonObject
from stand_ins.scicat.store import Store

CREATE_FIELDS = frozenset(
    [
        "ownerGroup",
        "accessGroups",
        "instrumentGroup",
        "owner",
        "ownerEmail",
        "orcidOfOwner",
        "contactEmail",
        "sourceFolder",
        "sourceFolderHost",
        "size",
        "packedSize",
        "numberOfFiles",
        "numberOfFilesArchived",
        "creationTime",
        "validationStatus",
        "keywords",
        "description",
        "datasetName",
        "classification",
        "license",
        "isPublished",
        "techniques",
        "sharedWith",
        "relationships",
        "datasetlifecycle",
        "scientificMetadata",
        "scientificMetadataSchema",
        "scientificMetadataValid",
        "comment",
        "dataQualityMetrics",
        "principalInvestigators",
        "startTime",
        "endTime",
        "creationLocation",
        "dataFormat",
        "proposalIds",
        "sampleIds",
        "instrumentIds",
        "inputDatasets",
        "usedSoftware",
        "jobParameters",
        "jobLogData",
        "runNumber",
        "pid",
        "type",
    ]
)
"""Keys that ``POST /api/v4/datasets`` takes (its ``CreateDatasetDto``)."""

_OBJECT_ID = re.compile(r"[0-9a-f]{24}")
_V3_SINGLE = {"principalInvestigator": "principalInvestigators", "proposalId": "proposalIds"}
_V3_PADDED = ("proposalIds", "sampleIds", "instrumentIds")


def is_iso_date(value: object) -> bool:
    """Tell whether a value is a text that ISO 8601 knows as a moment."""
    if not isinstance(value, str):
        return False
    try:
        datetime.fromisoformat(value)
    except ValueError:
        return False
    return True


def default_lifecycle(store: Store) -> JsonObject:
    """Give the lifecycle of a dataset about which nothing was said."""
    month = f"{store.started[:7]}-01T00:00:00.000Z"
    return {
        "archivable": True,
        "retrievable": False,
        "publishable": False,
        "dateOfDiskPurging": store.started,
        "archiveRetentionTime": month,
        "dateOfPublishing": month,
        "publishedOn": store.started,
        "isOnCentralDisk": True,
        "archiveStatusMessage": "datasetCreated",
        "retrieveStatusMessage": "",
        "retrieveIntegrityCheck": False,
        "_id": store.ids.next(),
    }


def new_lifecycle(store: Store, given: JsonObject | None) -> JsonObject:
    """Give a lifecycle from defaults and what was given; empty objects are not stored (as mongoose does)."""
    told = {key: value for key, value in (given or {}).items() if value != {}}
    return {**default_lifecycle(store), **told}


def new_dataset(store: Store, given: JsonObject, version: str, creator: str) -> JsonObject:
    """Give the dataset that a creation stores.

    Args:
        store: gives ids and times.
        given: the body of the request, already checked.
        version: ``"v3"`` or ``"v4"``.
        creator: name of the account.
    """
    told = _from_v3(given) if version == "v3" else dict(given)
    pid = told.pop("pid", None) or f"20.500.12345/{uuid.uuid4()}"
    lifecycle = new_lifecycle(store, told.pop("datasetlifecycle", None))
    now = store.clock.now()
    defaults: JsonObject = {
        "accessGroups": [],
        "isPublished": False,
        "size": 0,
        "packedSize": 0,
        "numberOfFiles": 0,
        "numberOfFilesArchived": 0,
        "classification": "IN=medium,AV=low,CO=low",
        "scientificMetadata": {},
    }
    lists = "keywords sharedWith principalInvestigators proposalIds sampleIds instrumentIds inputDatasets usedSoftware"
    defaults |= {key: [] for key in f"{lists} techniques relationships".split()}
    return {
        **defaults,
        **told,
        "_id": pid,
        "pid": pid,
        "version": version[1:],
        "datasetlifecycle": lifecycle,
        "createdBy": creator,
        "updatedBy": creator,
        "createdAt": now,
        "updatedAt": now,
        "__v": 0,
    }


def show(dataset: JsonObject, version: str, *, history: bool = False, with_id: bool = False) -> JsonObject:
    """Give a dataset as v3 or v4 shows it.

    Args:
        dataset: the stored record.
        version: ``"v3"`` or ``"v4"``.
        history: v3 only: whether the (always empty) history belongs to this answer; it does for reads.
        with_id: v4 only: whether ``id`` stands beside ``_id``; it does for answers to writes.
    """
    if version == "v4":
        return {**dataset, "id": dataset["_id"]} if with_id else dataset
    people = dataset.get("principalInvestigators") or []
    shown = {**dataset, "principalInvestigator": people[0]} if people else dict(dataset)
    return {**shown, "history": []} if history else shown


def with_buffers(record: JsonObject) -> JsonObject:
    """Give a record in which each ``_id`` of the database's own kind, at any depth, is shown as its bytes."""
    return {key: _shown_id(one) if key == "_id" else _inside(one) for key, one in record.items()}


def _inside(value: object) -> object:
    if isinstance(value, dict):
        return with_buffers(value)
    return [_inside(one) for one in value] if isinstance(value, list) else value


def _shown_id(value: object) -> object:
    if isinstance(value, str) and _OBJECT_ID.fullmatch(value):
        return {"buffer": {"type": "Buffer", "data": list(bytes.fromhex(value))}}
    return value


def complaints(given: JsonObject, *, group_given: bool) -> list[str]:
    """List what a v4 creation lacks, in SciCat's words and order.

    Args:
        given: the body.
        group_given: whether the release asks that the owner group be not empty.
    """
    found = [f"property {key} should not exist" for key in given if key not in CREATE_FIELDS]
    rules = _with_given_group(_V4_RULES) if group_given else _V4_RULES
    return found + [text for rule in rules for text in _broken(given, rule).values()]


def v3_complaints(given: JsonObject, *, group_given: bool) -> list[JsonObject]:
    """List what a v3 creation of a raw dataset lacks, in the shape of SciCat's validator."""
    rules = _with_given_group(_V3_RULES) if group_given else _V3_RULES
    broken = ((rule[0], _broken(given, rule)) for rule in rules)
    return [{"property": key, "children": [], "constraints": texts} for key, texts in broken if texts]


def _from_v3(given: JsonObject) -> JsonObject:
    told = dict(given)
    for single, plural in _V3_SINGLE.items():
        if single in told:
            told[plural] = [told.pop(single)]
    for key in _V3_PADDED:
        told.setdefault(key, [None])
    return told


def _is_email_list(value: object) -> bool:
    return isinstance(value, str) and all(
        re.fullmatch(r"[^@\s]+@[^@\s]+\.[^@\s]+", part.strip()) for part in value.split(";")
    )


def _shown(value: object) -> str:
    return "undefined" if value is None else str(value)


_Check = tuple[str, Callable[[object], bool], str]
_Rule = tuple[str, tuple[_Check, ...]]


def _broken(given: JsonObject, rule: _Rule) -> dict[str, str]:
    key, checks = rule
    value = given.get(key)
    return {name: text.format(key=key, value=_shown(value)) for name, good, text in checks if not good(value)}


def _string(key: str) -> _Rule:
    return key, (("isString", lambda value: isinstance(value, str), "{key} must be a string"),)


_EMAIL: _Rule = (
    "contactEmail",
    (
        (
            "customEmailList",
            _is_email_list,
            "Expected an email or a list of semicolon separated emails, got {value}",
        ),
    ),
)
_NOT_EMPTY: _Check = (
    "isNotEmpty",
    lambda value: value not in (None, ""),
    "{key} should not be empty",
)
_FOLDER: _Rule = (
    "sourceFolder",
    (
        _NOT_EMPTY,
        ("isString", lambda value: isinstance(value, str), "{key} must be a string"),
    ),
)
_CREATION: _Rule = (
    "creationTime",
    (("isDateString", is_iso_date, "{key} must be a valid ISO 8601 date string"),),
)
_V4_RULES = (_string("type"), _string("ownerGroup"), _EMAIL, _FOLDER, _CREATION, _string("datasetName"))
_V3_RULES = (
    _string("ownerGroup"),
    _string("owner"),
    _EMAIL,
    _FOLDER,
    _CREATION,
    _string("principalInvestigator"),
    _string("creationLocation"),
)


def _with_given_group(rules: tuple[_Rule, ...]) -> tuple[_Rule, ...]:
    return tuple((key, (_NOT_EMPTY, *checks) if key == "ownerGroup" else checks) for key, checks in rules)
