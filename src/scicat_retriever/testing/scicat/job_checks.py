"""What ``POST /jobs`` and ``PATCH /jobs/{id}`` refuse, in SciCat's words and order."""

import re
from typing import Any

from scicat_retriever.testing.scicat.access import Access
from scicat_retriever.testing.scicat.accounts import Account
from scicat_retriever.testing.scicat.answers import JsonObject, application_refusal, framework_refusal
from scicat_retriever.testing.scicat.store import Store

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
    if "jobResultObject" in body and not isinstance(body["jobResultObject"], dict):
        found.append("jobResultObject must be an object")
    if found:
        raise framework_refusal(400, found)


def check_dataset_list(params: JsonObject, store: Store) -> list[JsonObject]:
    """Check ``jobParams.datasetList`` and give its elements."""
    if "datasetList" not in params:
        raise application_refusal(400, "Dataset ids list was not provided in jobParams")
    wanted = params["datasetList"]
    if not isinstance(wanted, list):
        raise application_refusal(400, "Invalid dataset list")
    if not wanted:
        raise application_refusal(400, "List of passed datasets is empty.")
    for one in wanted:
        _check_element(one)
    missing = [one["pid"] for one in wanted if one["pid"] not in store.datasets]
    if missing:
        raise application_refusal(400, f"Datasets with pid {', '.join(missing)} do not exist.")
    _check_files(wanted, store)
    return wanted


def owner_of(body: JsonObject, who: Account | None, access: Access) -> JsonObject:
    """Settle ``ownerUser``, ``ownerGroup`` and ``contactEmail`` of a new job, or refuse."""
    user, group, email = body.get("ownerUser"), body.get("ownerGroup"), body.get("contactEmail")
    if who is None:
        if user or group:
            text = "Unauthenticated user cannot initiate a job owned by another user."
            raise application_refusal(400, f"Invalid new job. {text}")
        return _with_email(None, None, email)
    if access.is_admin(who):
        own_address = who.email if user == who.username else None
        return _with_email(user, group, email or own_address)
    if not group:
        raise application_refusal(400, "Invalid new job. Owner group should be specified.")
    if user and user != who.username:
        raise application_refusal(400, "Invalid new job. User owning the job should match user logged in.")
    if group not in who.groups:
        raise application_refusal(400, "Invalid new job. User needs to belong to job owner group.")
    return _with_email(who.username, group, email or who.email)


def check_rights_on_datasets(
    wanted: list[JsonObject], who: Account | None, access: Access, store: Store
) -> None:
    """Refuse with 403 unless the caller may see every dataset; one named twice counts as one unseen."""
    seen = {one["pid"] for one in wanted if access.may_see(who, store.datasets[one["pid"]])}
    if len(seen) != len(wanted):
        raise framework_refusal(403, "Unauthorized to create this job.")


def check_retrievable(wanted: list[JsonObject], store: Store) -> None:
    """Refuse a job with a dataset whose lifecycle says that it cannot be retrieved."""
    if not all(store.datasets[one["pid"]]["datasetlifecycle"]["retrievable"] for one in wanted):
        raise application_refusal(400, "Invalid request. Invalid value for 'datasetlifecycle.retrievable'")


def check_datasets_exist(job: JsonObject, store: Store) -> None:
    """Refuse with 404 to change a job one of whose datasets was deleted."""
    gone = [one["pid"] for one in job["jobParams"].get("datasetList", ()) if one["pid"] not in store.datasets]
    if gone:
        named = ",".join(f'"{pid}"' for pid in gone)
        raise framework_refusal(404, f"Unable to get a dataset. ([{named}])")


def _check_element(one: Any) -> None:  # noqa: ANN401 - anything a caller may send
    if not isinstance(one, dict) or not set(one) <= {"pid", "files"}:
        raise application_refusal(400, "Dataset list is expected to contain sets of pid and files.")
    if not isinstance(one.get("pid"), str):
        raise application_refusal(400, "In datasetList each 'pid' field should be a string.")
    if not isinstance(one.get("files"), list):
        raise application_refusal(400, "In datasetList each 'files' field should be an array.")


def _check_files(wanted: list[JsonObject], store: Store) -> None:
    """Refuse files that the original datablocks do not list.

    With files of several datasets SciCat knows only those of one of them (which one, varies) and refuses the
    rest: the stand-in always knows those of the last.
    """
    choosy = [one for one in wanted if one["files"]]
    known: dict[str, set[str]] = {one["pid"]: set() for one in choosy}
    for one in choosy[-1:]:
        blocks = store.origdatablocks.of(one["pid"])
        known[one["pid"]] = {file["path"] for block in blocks for file in block["dataFileList"]}
    faults = [
        (one["pid"], [path for path in one["files"] if path not in known[one["pid"]]]) for one in choosy
    ]
    missing = [
        f'{{"pid":"{pid}","nonExistFiles":[{",".join(map(_quoted, paths))}]}}'
        for pid, paths in faults
        if paths
    ]
    if missing:
        text = "At least one requested file could not be found."
        raise application_refusal(400, text, error=f"[{','.join(missing)}]")


def _quoted(path: object) -> str:
    return f'"{path}"'


def _with_email(user: object, group: object, email: object) -> JsonObject:
    if not (email or user or group):
        raise application_refusal(400, "Contact email should be specified for an anonymous job.")
    return {"ownerUser": user, "ownerGroup": group, "contactEmail": email}
