"""SciCat's JSON <-> the domain.

SciCat's JSON is not trusted: whatever it holds, reading it ends in a value or in one of our errors.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from scicat_retriever.domain.dataset import Dataset, RetrieveJob, Selection, united
from scicat_retriever.domain.errors import (
    CatalogueAnswerUnreadable,
    CatalogueEntryInvalid,
    DatasetListEmpty,
    JobMalformed,
    JobRefused,
    JobTooLarge,
    JobTypeUnknown,
    JobUnderWay,
)
from scicat_retriever.domain.foreign_text import one_line
from scicat_retriever.domain.ids import DatasetPid, JobId
from scicat_retriever.domain.states import is_under_way

MAX_ID = 256
"""Bytes (UTF-8) of a job's id or type, and of a user's or group's name: names in the engine have 1000."""

MAX_PID = 512
"""Bytes (UTF-8) of a pid."""

MAX_FILE_NAME = 4096
"""Bytes (UTF-8) of a file's name (Linux, PATH_MAX)."""

MAX_FILES = 200_000
"""File names in one job: all names of a dataset are in memory while its datablocks are searched for them."""

NO_DATASET = "The job names no dataset"
_ASKED = ("jobParams", "datasetList")
"""The keys of what a job asks for; the rest is SciCat's, and the result of an earlier run may be long."""

LARGEST_AMOUNT = 2**53 - 1
"""The largest whole number that JavaScript keeps exactly (RFC 8259, section 6): 8 PiB."""


def encoded(value: object) -> bytes:
    """Give a value as JSON in UTF-8; halves of surrogate pairs, which UTF-8 cannot hold, become `?`."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


def judge(body: bytes, accepted_types: Collection[str], longest: int) -> RetrieveJob:
    """Judge what SciCat sends of a job, whichever way it came: give the job to carry out.

    Args:
        body: The JSON document.
        accepted_types: The job types that are carried out.
        longest: Most bytes of the document.

    Raises:
        JobRefused: The job can never be carried out; see `parse_job`.
        JobUnderWay: It is an update of a job that somebody carries out or that has ended.
    """
    if len(body) > longest:
        raise JobTooLarge.than(longest)
    message = _json_object(body)
    # v4 has statusCode, v3 jobStatusMessage.
    word = message.get("statusCode") or message.get("jobStatusMessage")
    if is_under_way(word):
        shown = one_line(word, MAX_ID)
        raise JobUnderWay(f"The job is {shown} in SciCat already, and not by this service", _id_in(message))
    return parse_job(message, accepted_types)


def parse_job(
    body: bytes | Mapping[str, Any], accepted_types: Collection[str] | None, longest: int | None = None
) -> RetrieveJob:
    """Read a job as SciCat hands it over.

    The one place that says which jobs are refused for good, and in which words.

    Four shapes are taken: the v4 job (`jobParams.datasetList`; the RabbitMQ action publishes it too), the v3
    job (`datasetList`), the text that the `url` action renders from its template (it may hold both lists and
    much else), and the short form `{"id", "type"}`. A pid that is listed twice is taken once, with the files
    of both entries. `files` that is empty or absent means the whole dataset, and wins. A job may name
    `MAX_FILES` files in all.

    Args:
        body: The JSON document, or the object read from it.
        accepted_types: The job types that are carried out; None takes any.
        longest: Most bytes that its dataset list and parameters may take as JSON; None takes any.

    Raises:
        JobMalformed: The document is no job; `field` is the JSON path of the first offending field.
        JobTypeUnknown: The job's type is not accepted.
        DatasetListEmpty: The job has a dataset list, and the list is empty.
        JobTooLarge: The dataset list and parameters are longer than `longest`.
    """
    job = body if isinstance(body, Mapping) else _json_object(body)
    named = _named(job, accepted_types)
    try:
        if longest is not None and len(encoded([job.get(key) for key in _ASKED])) > longest:
            raise JobTooLarge.than(longest)
        return replace(named, datasets=_selections(job))
    except JobRefused as refused:
        refused.job = named
        raise


def owner_of(job: Mapping[str, Any]) -> str | None:
    """Find the owner of a v4 job, or of a v3 job, which names its owner among its parameters."""
    params = job.get("jobParams")
    return optional_name(
        job.get("ownerUser") or (params.get("username") if isinstance(params, Mapping) else None)
    )


def dataset_from(entry: Mapping[str, Any], pid: DatasetPid) -> Dataset:
    """Read a dataset as `GET /api/v4/datasets/{pid}` gives it.

    Raises:
        CatalogueAnswerUnreadable: The entry is no dataset at all.
        CatalogueEntryInvalid: It is another dataset, or declares a sum that is no number of files or bytes.
    """
    if not isinstance(entry.get("pid"), str):
        raise CatalogueAnswerUnreadable(f"SciCat was asked for dataset {pid} and does not answer with it")
    if entry["pid"] != pid:
        raise CatalogueEntryInvalid(f"SciCat was asked for dataset {pid} and answers with another one")
    name = entry.get("datasetName")
    return Dataset(
        pid=pid,
        name=name if isinstance(name, str) and name else pid,
        files_archived=_amount(entry, "numberOfFilesArchived", pid),
        packed_size=_amount(entry, "packedSize", pid),
        owner_group=optional_name(entry.get("ownerGroup")),
        updated_at=_time(entry.get("updatedAt")),
        storage_location=_location(entry.get("datasetlifecycle")),
        source_folder=_folder(entry.get("sourceFolder")),
    )


def _location(lifecycle: object) -> str | None:
    return optional_name(lifecycle.get("storageLocation")) if isinstance(lifecycle, Mapping) else None


def _folder(value: object) -> str | None:
    fits = isinstance(value, str) and 0 < len(value) <= MAX_FILE_NAME
    return str(value) if fits else None


def amount(value: object) -> int | None:
    """Read an amount: a whole number that is not negative and at most `LARGEST_AMOUNT`, else None.

    `4608.0` is 4608: JSON has one kind of number (RFC 8259, section 6), and some programs that fill
    catalogues write all numbers as floats.
    """
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool):
        return None
    return value if 0 <= value <= LARGEST_AMOUNT else None


def optional_name(value: object) -> str | None:
    """Give a user's or a group's name, or None where SciCat gives no usable one."""
    fits = (
        isinstance(value, str)
        and 0 < len(value.encode(errors="surrogatepass")) <= MAX_ID
        and value.isprintable()
    )
    return str(value) if fits else None


def pruned(value: object) -> object:
    """Leave out of a JSON value what SciCat's database may leave out: nulls and empty objects in objects."""
    if isinstance(value, Mapping):
        kept = {key: pruned(part) for key, part in value.items()}
        return {key: part for key, part in kept.items() if part is not None} or None
    if isinstance(value, list):
        return [pruned(part) for part in value]
    return value


def _json_object(body: bytes) -> Mapping[str, Any]:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        raise JobMalformed("What was sent is not JSON") from None
    if not isinstance(value, dict):
        raise JobMalformed("What was sent is no JSON object")
    return value


def _named(job: Mapping[str, Any], accepted_types: Collection[str] | None) -> RetrieveJob:
    """Say which job it is, without its datasets."""
    job_id = _name(job.get("id") or job.get("_id"), "$.id", MAX_ID)
    job_type = _name(job.get("type"), "$.type", MAX_ID)
    if accepted_types is not None and job_type not in accepted_types:
        raise JobTypeUnknown(f"Jobs of type {job_type!r} are not carried out here", "$.type")
    return RetrieveJob(
        id=JobId(job_id),
        type=job_type,
        owner_user=owner_of(job),
        owner_group=optional_name(job.get("ownerGroup")),
    )


def _id_in(job: Mapping[str, Any]) -> JobId | None:
    try:
        return JobId(_name(job.get("id") or job.get("_id"), "$.id", MAX_ID))
    except JobMalformed:
        return None


def _selections(job: Mapping[str, Any]) -> tuple[Selection, ...]:
    params = job.get("jobParams")
    if params is not None and not isinstance(params, Mapping):
        raise _malformed("$.jobParams", "must be an object")
    v4, v3 = (params or {}).get("datasetList"), job.get("datasetList")
    entries, path = (v4, "$.jobParams.datasetList") if v4 is not None else (v3, "$.datasetList")
    if entries is None:
        return ()
    if not isinstance(entries, list):
        raise _malformed(path, "must be an array")
    if not entries:
        raise DatasetListEmpty(NO_DATASET, path)
    selections = united(_selection(entry, f"{path}[{index}]") for index, entry in enumerate(entries))
    if sum(len(selection.files) for selection in selections) > MAX_FILES:
        raise JobMalformed(f"The job names more than {MAX_FILES} files: ask for whole datasets", path)
    return selections


def _selection(entry: object, path: str) -> Selection:
    if not isinstance(entry, Mapping):
        raise _malformed(path, "must be an object")
    pid = _name(entry.get("pid"), f"{path}.pid", MAX_PID)
    files = entry.get("files")
    if files is None:
        files = []
    if not isinstance(files, list):
        raise _malformed(f"{path}.files", "must be an array")
    return Selection(
        DatasetPid(pid), tuple(_file_name(name, f"{path}.files[{index}]") for index, name in enumerate(files))
    )


def _name(value: object, path: str, longest: int) -> str:
    name = _text(value, path, longest)
    if not name.isprintable():
        raise _malformed(path, "must hold no control character")
    return name


def _file_name(value: object, path: str) -> str:
    name = _text(value, path, MAX_FILE_NAME)
    # Other control characters are legal in a file's name.
    if "\0" in name:
        raise _malformed(path, "must hold no NUL")
    return name


def _text(value: object, path: str, longest: int) -> str:
    if not isinstance(value, str) or not value:
        raise _malformed(path, "must be a string that is not empty")
    if len(value.encode(errors="surrogatepass")) > longest:
        raise _malformed(path, f"must have at most {longest} bytes")
    if any("\ud800" <= character <= "\udfff" for character in value):
        raise _malformed(path, "must be Unicode text")
    return value


def _malformed(path: str, must: str) -> JobMalformed:
    """Name the offending field in words that are the same for v4's and v3's shape of a job."""
    return JobMalformed(f"{path.removeprefix('$.').removeprefix('jobParams.')} {must}", path)


def _amount(entry: Mapping[str, Any], key: str, pid: DatasetPid) -> int:
    value = entry.get(key)
    if value is None:
        return 0
    read = amount(value)
    if read is None:
        raise CatalogueEntryInvalid(
            f"Dataset {pid} declares a {key} that is no number of files or bytes ({value!r:.40}): correct it in SciCat"
        )
    return read


def _time(value: object) -> datetime | None:
    try:
        time = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    if time is None:
        return None
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
