"""What ``POST /jobs`` refuses of ``jobParams.datasetList``, in the words and the shapes of each release."""

from collections.abc import Callable
from typing import Any

from stand_ins.scicat.answers import (
    JsonObject,
    Refusal,
    application_refusal,
    detailed_refusal,
    framework_refusal,
    json_text,
)
from stand_ins.scicat.release import Release
from stand_ins.scicat.store import Store


def check_dataset_list(params: JsonObject, store: Store, release: Release) -> list[JsonObject]:
    """Check ``jobParams.datasetList`` and give its elements."""
    newer = release.job_list_is_unprocessable
    if "datasetList" not in params:
        raise _bad("Dataset ids list was not provided in jobParams", release)
    wanted = params["datasetList"]
    if not isinstance(wanted, list):
        raise _bad("Invalid dataset list." if newer else "Invalid dataset list", release)
    if not wanted:
        raise _bad("List of passed datasets is empty.", release)
    for one in wanted:
        _check_with_details(one) if newer else _check_element(one)
    missing = [one["pid"] for one in wanted if one["pid"] not in store.datasets]
    if missing:
        raise _bad(f"Datasets with pid {', '.join(missing)} do not exist.", release)
    _check_files(wanted, store, release)
    return wanted


def _bad(text: str, release: Release) -> Refusal:
    if release.job_list_is_unprocessable:
        return framework_refusal(422, text)
    return application_refusal(400, text)


def _check_element(one: Any) -> None:  # noqa: ANN401 - anything a caller may send
    if not isinstance(one, dict) or not set(one) <= {"pid", "files"}:
        raise application_refusal(400, "Dataset list is expected to contain sets of pid and files.")
    if not isinstance(one.get("pid"), str):
        raise application_refusal(400, "In datasetList each 'pid' field should be a string.")
    if not isinstance(one.get("files"), list):
        raise application_refusal(400, "In datasetList each 'files' field should be an array.")


_Rule = tuple[str, str, Callable[[Any], bool], str]
_RULES: tuple[_Rule, ...] = (
    ("pid", "isNotEmpty", lambda value: value not in (None, ""), "pid should not be empty"),
    ("pid", "isString", lambda value: isinstance(value, str), "pid must be a string"),
    (
        "files",
        "isString",
        # SciCat's validator looks at each character of a text as it looks at each element of a list.
        lambda value: (
            isinstance(value, str)
            or (isinstance(value, list) and all(isinstance(path, str) for path in value))
        ),
        "each value in files must be a string",
    ),
    ("files", "isArray", lambda value: isinstance(value, list), "files must be an array"),
)


def _check_with_details(one: Any) -> None:  # noqa: ANN401 - anything a caller may send
    """Refuse an element with what is wrong with each of its keys, in the shape of SciCat's validator."""
    given = one if isinstance(one, dict) else {}
    broken: dict[str, dict[str, str]] = {
        key: {"whitelistValidation": f"property {key} should not exist"}
        for key in given
        if key not in ("pid", "files")
    }
    for key, name, good, text in _RULES:
        if not good(given.get(key)):
            broken.setdefault(key, {})[name] = text
    if broken:
        details = [{"property": key, "constraints": texts} for key, texts in broken.items()]
        raise detailed_refusal(422, "Invalid dataset list.", details)


def _check_files(wanted: list[JsonObject], store: Store, release: Release) -> None:
    """Refuse files that the original datablocks do not list.

    With files of several datasets an older SciCat knows only those of one of them (which one, varies) and refuses
    the rest: the stand-in then knows those of the last.
    """
    choosy = [one for one in wanted if one["files"]]
    known: dict[str, set[str]] = {one["pid"]: set() for one in choosy}
    for one in choosy if release.knows_files_of_every_dataset else choosy[-1:]:
        blocks = store.origdatablocks.of(one["pid"])
        known[one["pid"]] = {file["path"] for block in blocks for file in block["dataFileList"]}
    unknown = [
        (one["pid"], [path for path in one["files"] if path not in known[one["pid"]]]) for one in choosy
    ]
    missing = [{"pid": pid, "nonExistFiles": paths} for pid, paths in unknown if paths]
    if missing:
        raise _files_missing(missing, release)


def _files_missing(missing: list[JsonObject], release: Release) -> Refusal:
    text = "At least one requested file could not be found."
    if release.job_list_is_unprocessable:
        return detailed_refusal(422, text, missing)
    return application_refusal(400, text, error=json_text(missing))
