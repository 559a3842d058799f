"""Jobs, read and updated by v4 of SciCat's interface, or by v3 where a backend has no v4 of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from scicat_retriever.catalogue.answer import Answer, segment
from scicat_retriever.catalogue.rights import READ_JOBS, UPDATE_JOBS
from scicat_retriever.catalogue.session import Session
from scicat_retriever.catalogue.wire import NO_DATASET, encoded, parse_job, pruned
from scicat_retriever.domain.dataset import RetrieveJob
from scicat_retriever.domain.errors import (
    CatalogueAnswerUnreadable,
    CatalogueError,
    CatalogueForbidden,
    CatalogueJobUnclosable,
    CatalogueJobUnknown,
    CatalogueRefused,
    CatalogueUnavailable,
    CatalogueUpdateLost,
    DatasetListEmpty,
)
from scicat_retriever.domain.ids import JobId
from scicat_retriever.ports.catalogue import JobUpdate

MAX_BODY = 15_000_000
"""Most bytes of an update; SciCat and its database take 16 MB, and SciCat answers 500, not 413, to more."""


_ALWAYS_SHOWN = ("statusCode", "statusMessage")


class Jobs:
    """The jobs in SciCat."""

    def __init__(self, session: Session, longest: int | None = None) -> None:
        self._session = session
        self._longest = longest

    def read(self, job_id: JobId) -> RetrieveJob:
        """Read a job with its dataset list.

        Raises:
            CatalogueJobUnknown: SciCat has no such job.
            JobRefused: The job can never be carried out; the words are those of `wire.judge`.
        """
        raw = self.read_raw(job_id)
        if (raw.get("id") or raw.get("_id")) != job_id:
            raise CatalogueAnswerUnreadable(f"SciCat was asked for job {job_id} and does not answer with it")
        job = parse_job(raw, None, self._longest)
        if not job.datasets:
            empty = DatasetListEmpty(NO_DATASET, "$.jobParams.datasetList")
            empty.job = job
            raise empty
        return job

    def read_raw(self, job_id: JobId) -> dict[str, Any]:
        """Read a job as SciCat's v4 has it, or its v3 where there is no v4; errors as in `read`."""
        answer = self._session.ask("GET", f"/api/v4/jobs/{segment(job_id)}")
        if answer.route_missing:
            answer = self._session.ask("GET", f"/api/v3/jobs/{segment(job_id)}")
        if answer.status == 403 and (listed := self._read_listed(job_id)) is not None:
            return listed
        if answer.object_missing:
            raise CatalogueJobUnknown(f"SciCat has no job {job_id}")
        if not answer.ok:
            raise _failure(answer, job_id, READ_JOBS)
        return answer.json_object()

    def update(self, job_id: JobId, update: JobUpdate) -> None:
        """Tell SciCat a job's state; after an error, look first whether SciCat stored it all the same.

        Raises:
            CatalogueJobUnknown: SciCat has no such job.
            CatalogueJobUnclosable: A dataset of the job was deleted.
        """
        told = _told(update)
        if len(encoded(told)) > MAX_BODY:
            raise CatalogueRefused(
                f"The result of job {job_id} is larger than SciCat takes ({MAX_BODY} bytes)"
            )
        try:
            answer = self._patch(job_id, told)
        except CatalogueUnavailable as lost:
            failure: CatalogueError = lost
        else:
            if answer.ok:
                self._check(answer, job_id, told)
                return
            failure = _failure(answer, job_id, UPDATE_JOBS)
        may_be_stored = isinstance(failure, CatalogueUnavailable | CatalogueRefused)
        if not (may_be_stored and self._holds(job_id, told)):
            raise failure

    def _patch(self, job_id: JobId, told: Mapping[str, Any]) -> Answer:
        answer = self._session.ask("PATCH", f"/api/v4/jobs/{segment(job_id)}", body=encoded(told))
        if not answer.route_missing:
            return answer
        body = encoded(_in_v3(told))
        return self._session.ask("PATCH", f"/api/v3/jobs/{segment(job_id)}", body=body)

    def _check(self, answer: Answer, job_id: JobId, told: Mapping[str, Any]) -> None:
        """Check that SciCat holds what it was told: by its answer or, where that is short, by the job."""
        held = answer.json_object()
        shortened = "jobResultObject" in told and "jobResultObject" not in held
        lost = _lost(
            {key: value for key, value in told.items() if key in _ALWAYS_SHOWN or not shortened}, held
        )
        if shortened and not lost:
            try:
                lost = _lost(told, self.read_raw(job_id))
            except (CatalogueForbidden, CatalogueRefused):
                return  # an account may update jobs that it may not read: the answer's status has to do
        if lost:
            raise CatalogueUpdateLost(
                f"Job {job_id} was told {told['statusCode']}, and SciCat holds {_state(held)!r:.60}"
                f" and not what it was told as {', '.join(lost)}"
            )

    def _holds(self, job_id: JobId, told: Mapping[str, Any]) -> bool:
        try:
            return not _lost(told, self.read_raw(job_id))
        except CatalogueError:
            return False

    def _read_listed(self, job_id: JobId) -> dict[str, Any] | None:
        query = {"filter": encoded({"where": {"id": job_id}}).decode()}
        answer = self._session.ask("GET", "/api/v4/jobs", query=query)
        jobs = answer.json_list() if answer.ok else []
        return next((job for job in jobs if job.get("id") == job_id), None)


def _told(update: JobUpdate) -> dict[str, Any]:
    told: dict[str, Any] = {"statusCode": update.state.value, "statusMessage": update.message}
    if update.result is not None:
        told["jobResultObject"] = update.result
    as_sent: dict[str, Any] = json.loads(encoded(told))
    return as_sent


def _in_v3(told: Mapping[str, Any]) -> dict[str, Any]:
    """Give an update by the names of v3, which has one word for both code and message."""
    v3 = {"jobStatusMessage": told["statusCode"]}
    if "jobResultObject" in told:
        v3["jobResultObject"] = told["jobResultObject"]
    return v3


def _lost(told: Mapping[str, Any], held: Mapping[str, Any]) -> list[str]:
    """Name the keys of a job's update that SciCat does not hold."""
    expected = told if "statusCode" in held else _in_v3(told)
    return [key for key, value in expected.items() if pruned(held.get(key)) != pruned(value)]


def _state(job: Mapping[str, Any]) -> object:
    return job.get("statusCode", job.get("jobStatusMessage"))


def _failure(answer: Answer, job_id: JobId, right: str) -> CatalogueError:
    # SciCat hands on the status that the target of a failing action gave, so a 404 or 403 may be that
    # target's.
    if "remote URL call failed" in answer.message or "unable to perform action" in answer.message:
        text = f"An action of SciCat's job configuration fails for job {job_id} ({answer.status}): {answer.message}"
        return CatalogueUnavailable(text) if answer.status >= 500 else CatalogueRefused(text)
    if answer.status == 400 and "invalid job id" in answer.message.lower():
        return CatalogueJobUnknown(f"SciCat has no job {job_id}")
    if answer.object_missing:
        return CatalogueJobUnclosable(f"SciCat cannot update job {job_id} any more: {answer.message}")
    return answer.error(right)
