"""What ``POST /jobs`` and ``PATCH /jobs/{id}`` refuse, in SciCat's words and order."""

import re

from stand_ins.scicat.access import Access
from stand_ins.scicat.accounts import Account
from stand_ins.scicat.answers import (
    JsonObject,
    Refusal,
    application_refusal,
    framework_refusal,
)
from stand_ins.scicat.release import Release
from stand_ins.scicat.store import Store

_CREATE_KEYS = frozenset({"type", "jobParams", "ownerUser", "ownerGroup", "contactEmail"})
_UPDATE_KEYS = frozenset({"statusCode", "statusMessage", "jobResultObject"})


def check_create_body(body: JsonObject) -> None:
    """Refuse a v4 creation of the wrong shape (SciCat's ``CreateJobDto``)."""
    found = [f"property {key} should not exist" for key in body if key not in _CREATE_KEYS]
    if not isinstance(body.get("type"), str):
        found.append("type must be a string")
    if not isinstance(body.get("jobParams"), dict):
        found.append("jobParams must be an object")
    email = body.get("contactEmail")
    if email is not None and not re.fullmatch(r"[^@\s]+@[^@\s]+\.[^@\s]+", str(email)):
        found.append("contactEmail must be an email")
    if found:
        raise framework_refusal(400, found)


def check_update_body(body: JsonObject) -> None:
    """Refuse a v4 change of the wrong shape: both status texts are required (``UpdateJobDto``)."""
    found = [f"property {key} should not exist" for key in body if key not in _UPDATE_KEYS]
    found += [
        f"{key} must be a string"
        for key in ("statusCode", "statusMessage")
        if not isinstance(body.get(key), str)
    ]
    if body.get("jobResultObject") is not None and not isinstance(body["jobResultObject"], dict):
        found.append("jobResultObject must be an object")
    if found:
        raise framework_refusal(400, found)


def owner_of(body: JsonObject, who: Account | None, access: Access) -> JsonObject:
    """Settle ``ownerUser``, ``ownerGroup`` and ``contactEmail`` of a new job, or refuse."""
    release = access.release
    user, group, email = body.get("ownerUser"), body.get("ownerGroup"), body.get("contactEmail")
    if who is None:
        if user or group:
            raise _wrong_owner("Unauthenticated user cannot initiate a job owned by another user.", release)
        if not email and not release.job_list_is_unprocessable:
            raise _no_email(release)
        return {"ownerUser": None, "ownerGroup": None, "contactEmail": email or ""}
    if access.is_admin(who):
        email = email or (who.email if user == who.username else None)
        if not (email or user or group):
            raise _no_email(release)
        return {"ownerUser": user, "ownerGroup": group, "contactEmail": email}
    if not group:
        raise _wrong_owner("Owner group should be specified.", release)
    if user and user != who.username:
        raise _wrong_owner("User owning the job should match user logged in.", release)
    if group not in who.groups:
        raise _wrong_owner("User needs to belong to job owner group.", release)
    return {"ownerUser": who.username, "ownerGroup": group, "contactEmail": email or who.email}


def check_rights_on_datasets(
    wanted: list[JsonObject], who: Account | None, access: Access, store: Store
) -> None:
    """Refuse unless the caller may see every dataset; one named twice counts as one unseen."""
    seen = {one["pid"] for one in wanted if access.may_see(who, store.datasets[one["pid"]])}
    if len(seen) == len(wanted):
        return
    if not access.release.job_list_is_unprocessable:
        raise unauthorized_job()
    if access.is_admin(who):
        # An admin may, and then the datasets that the actions need are counted.
        raise _datasets_missing([one["pid"] for one in wanted])
    raise framework_refusal(403, "User does not have access to all datasets, cannot create job.")


def unauthorized_job() -> Refusal:
    """Give the refusal of a job type that the caller may not create."""
    return framework_refusal(403, "Unauthorized to create this job.")


def check_retrievable(wanted: list[JsonObject], store: Store) -> None:
    """Refuse a job with a dataset whose lifecycle says that it cannot be retrieved."""
    if not all(store.datasets[one["pid"]]["datasetlifecycle"]["retrievable"] for one in wanted):
        raise application_refusal(400, "Invalid request. Invalid value for 'datasetlifecycle.retrievable'")


def check_datasets_exist(job: JsonObject, store: Store) -> None:
    """Refuse with 404 to change a job one of whose datasets was deleted."""
    pids = [one["pid"] for one in job["jobParams"].get("datasetList", ())]
    if any(pid not in store.datasets for pid in pids):
        raise _datasets_missing(pids)


def _datasets_missing(pids: list[str]) -> Refusal:
    named = ",".join(f'"{pid}"' for pid in pids)
    return framework_refusal(404, f"Unable to get a dataset. ([{named}])")


def _wrong_owner(text: str, release: Release) -> Refusal:
    message = f"Invalid new job. {text}"
    return (
        framework_refusal(403, message)
        if release.job_list_is_unprocessable
        else application_refusal(400, message)
    )


def _no_email(release: Release) -> Refusal:
    message = "Contact email should be specified for an anonymous job."
    return (
        framework_refusal(422, message)
        if release.job_list_is_unprocessable
        else application_refusal(400, message)
    )
