"""Jobs as SciCat v4 stores them, as v3 shows them, and how a v3 request becomes a v4 one."""

from collections.abc import Callable
from typing import Any

from stand_ins.scicat.accounts import Account
from stand_ins.scicat.answers import JsonObject
from stand_ins.scicat.store import Store

SUBMITTED = "jobSubmitted"


def new_job(store: Store, told: JsonObject, creator: Account | None, config_version: str) -> JsonObject:
    """Give the job that a creation stores.

    Args:
        store: gives the times.
        told: ``id``, ``type``, ``jobParams`` and whichever of ``ownerUser``, ``ownerGroup``, ``contactEmail``
            are known. ``jobParams.jobStatusMessage`` becomes the status and leaves the parameters.
        creator: who made it; None for an anonymous caller.
        config_version: version of the operator's job configuration.
    """
    params = {key: value for key, value in told["jobParams"].items() if key != "jobStatusMessage"}
    status = told["jobParams"].get("jobStatusMessage")
    name = creator.username if creator else "anonymous"
    now = store.clock.now()
    owner = {
        key: told[key] for key in ("ownerUser", "ownerGroup", "contactEmail") if told.get(key) is not None
    }
    return {
        "createdBy": name,
        "updatedBy": name,
        "createdAt": now,
        "updatedAt": now,
        "accessGroups": [],
        "isPublished": False,
        "_id": told["id"],
        "id": told["id"],
        "type": told["type"],
        "statusCode": status or SUBMITTED,
        "statusMessage": status or "Job submitted.",
        "jobParams": params,
        "configVersion": config_version,
        "jobResultObject": {},
        "__v": 0,
        **owner,
    }


def show_job(job: JsonObject, version: str) -> JsonObject:
    """Give a job as v3 or v4 shows it."""
    if version == "v4":
        return job
    params = dict(job.get("jobParams") or {})
    files = params.pop("datasetList", None)
    execution = params.pop("executionTime", None)
    user = {"username": job["ownerUser"]} if "ownerUser" in job else {}
    shown = {
        "_id": job.get("_id"),
        "id": job.get("id"),
        "emailJobInitiator": job.get("contactEmail"),
        "type": job.get("type"),
        "creationTime": job.get("createdAt"),
        "executionTime": execution,
        "jobParams": {**user, **params},
        "jobStatusMessage": job.get("statusCode"),
        "datasetList": files,
        "jobResultObject": job.get("jobResultObject"),
    }
    return {key: value for key, value in shown.items() if value is not None}


def filter_from_v3(fields: JsonObject, limits: JsonObject) -> JsonObject:
    """Turn the query of v3's ``fullquery`` into a v4 filter.

    Args:
        fields: what the jobs must have, under v3's names; a list means any of it.
        limits: ``limit``, ``skip`` and ``order`` (``creationTime:asc``).
    """
    where = {
        _V4_NAMES.get(key, key): {"$in": value} if isinstance(value, list) else value
        for key, value in fields.items()
    }
    key, _, direction = str(limits.get("order", "")).partition(":")
    sort = {_V4_NAMES.get(key, key): -1 if direction == "desc" else 1} if key else {}
    return {"where": where, "sort": sort, "limits": {k: v for k, v in limits.items() if k != "order"}}


_V4_NAMES = {
    "jobStatusMessage": "statusCode",
    "emailJobInitiator": "contactEmail",
    "creationTime": "createdAt",
}


def create_request_from_v3(
    body: JsonObject, who: Account | None, owner_group: Callable[[str | None, list[Any]], str | None]
) -> JsonObject:
    """Turn a v3 creation into the v4 one that SciCat makes of it.

    Args:
        body: the v3 body; its ``datasetList`` stands at the top, one inside ``jobParams`` does not count.
        who: the caller.
        owner_group: names the owner group that fits the owner and the dataset list, unless the parameters do.
    """
    params = dict(body.get("jobParams") or {})
    params["datasetList"] = body.get("datasetList") or []
    for key in ("jobStatusMessage", "executionTime"):
        if key in body:
            params[key] = body[key]
    told: JsonObject = {"type": body.get("type"), "jobParams": params}
    user = (params.get("username") or who.username) if who else None
    told["ownerUser"] = user
    told["ownerGroup"] = params.get("ownerGroup") or owner_group(user, params["datasetList"])
    told["contactEmail"] = body.get("emailJobInitiator") or (who.email if who else None)
    return {key: value for key, value in told.items() if value is not None}


def group_of_datasets(owner: Account, datasets: list[JsonObject]) -> str | None:
    """Name the group of a v3 job as newer releases do: that of its first dataset that is not published.

    Args:
        owner: of the job.
        datasets: that it asks for.

    Returns:
        The first of the owner's groups where all are published; None where the owner may not see them all, or one
        is named twice.
    """
    seen = {
        one.get("pid")
        for one in datasets
        if one.get("isPublished")
        or one.get("ownerGroup") in owner.groups
        or not set(owner.groups).isdisjoint(one.get("accessGroups") or ())
    }
    if len(seen) != len(datasets):
        return None
    closed = (str(one["ownerGroup"]) for one in datasets if not one["isPublished"])
    return next(closed, owner.groups[0])


def update_from_v3(body: JsonObject, job: JsonObject) -> JsonObject:
    """Turn a v3 change into the v4 one; unknown keys, v4's names among them, count for nothing."""
    told: JsonObject = {"statusCode": job["statusCode"], "statusMessage": job["statusMessage"]}
    if "jobStatusMessage" in body:
        told = dict.fromkeys(("statusCode", "statusMessage"), body["jobStatusMessage"])
    if "jobResultObject" in body:
        told["jobResultObject"] = body["jobResultObject"]
    return told
