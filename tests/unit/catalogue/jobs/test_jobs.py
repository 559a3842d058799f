import json
from typing import Any

import httpx2
import pytest

from scicat_retriever.domain.dataset import RetrieveJob, Selection
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
    JobMalformed,
    JobRefused,
    JobTooLarge,
)
from scicat_retriever.domain.ids import DatasetPid, JobId
from scicat_retriever.domain.states import JobState
from scicat_retriever.ports.catalogue import JobUpdate
from tests.unit.catalogue.backend import (
    LOGIN,
    Backend,
    crash,
    failing,
    failing_otherwise,
    forbidden,
    ok,
)

ID, PID = JobId("j1"), DatasetPid("20.500.12345/abc")
PATCH, GET, LIST = "PATCH /api/v4/jobs/j1", "GET /api/v4/jobs/j1", "GET /api/v4/jobs"
PATCH_V3, GET_V3 = "PATCH /api/v3/jobs/j1", "GET /api/v3/jobs/j1"
ENTRIES = [{"pid": PID, "files": []}]
JOB = {"id": "j1", "type": "retrieve", "ownerUser": "ada", "jobParams": {"datasetList": ENTRIES}}
READ = RetrieveJob(ID, "retrieve", (Selection(PID),), "ada")
RESULT = {"result": [{"datasetId": PID, "size": 7}], "errors": []}
UPDATE = JobUpdate(JobState.SUCCESSFUL, "All is back.", RESULT)
TOLD = {"statusCode": "finishedSuccessful", "statusMessage": "All is back.", "jobResultObject": RESULT}
STORED = {**JOB, **TOLD}
ACTION_FAILED = 'A remote URL call failed with response: {"message": "x"}'


def test_a_job_is_read() -> None:
    assert Backend().on(GET, ok(JOB)).client().job(ID) == READ


def test_a_job_that_may_not_be_read_alone_is_found_in_the_list() -> None:
    backend = Backend().on(GET, failing(403, "Unauthorized to get this job.")).on(LIST, ok([JOB]))
    assert backend.client(token="long-lived").job(ID) == READ
    assert json.loads(backend.asked[-1].query["filter"]) == {"where": {"id": "j1"}}


@pytest.mark.parametrize("listed", [ok([]), ok([{**JOB, "id": "another"}]), forbidden()])
def test_a_job_that_may_not_be_seen_at_all_is_forbidden(listed: httpx2.Response) -> None:
    with pytest.raises(CatalogueForbidden):
        Backend().on(GET, forbidden()).on(LIST, listed).client().job(ID)


def test_a_backend_without_v4_jobs_is_asked_in_v3() -> None:
    v3 = {"id": "j1", "type": "retrieve", "jobParams": {}, "datasetList": ENTRIES}
    backend = Backend().on(GET_V3, ok(v3))
    assert backend.client().job(ID) == RetrieveJob(ID, "retrieve", (Selection(PID),))
    assert backend.lines() == [GET, GET_V3]


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (failing_otherwise(400, "Invalid job id."), CatalogueJobUnknown),
        (failing(404, "job not found"), CatalogueJobUnknown),
        (failing(400, "bad"), CatalogueRefused),
        (crash(), CatalogueUnavailable),
        (ok({**JOB, "id": "another"}), CatalogueAnswerUnreadable),
        (ok(None), CatalogueAnswerUnreadable),
    ],
)
def test_a_job_that_cannot_be_read_is_a_catalogue_error(reply: Any, expected: type[CatalogueError]) -> None:
    with pytest.raises(CatalogueError) as raised:
        Backend().on(GET, reply).client().job(ID)
    assert type(raised.value) is expected


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (ok({"id": "j1", "type": "retrieve"}), DatasetListEmpty),
        (ok({**JOB, "jobParams": {"datasetList": [{}]}}), JobMalformed),
        (ok({**JOB, "jobParams": {"datasetList": []}}), DatasetListEmpty),
        (ok({**JOB, "jobParams": {"datasetList": [{"pid": "p" * 513}]}}), JobMalformed),
        (ok({**JOB, "jobParams": {"datasetList": ENTRIES, "comment": "x" * 2000}}), JobTooLarge),
    ],
)
def test_a_job_that_can_never_be_carried_out_is_refused_by_name(
    reply: Any, expected: type[JobRefused]
) -> None:
    with pytest.raises(JobRefused) as raised:
        Backend().on(GET, reply).client(longest_job=1000).job(ID)
    assert type(raised.value) is expected
    assert raised.value.job is not None
    assert (raised.value.job.id, raised.value.who, raised.value.retryable) == (ID, "user", False)


def test_the_result_of_an_earlier_run_does_not_make_a_job_too_large() -> None:
    held = {**JOB, "jobResultObject": {"result": ["x" * 2000]}}
    assert Backend().on(GET, ok(held)).client(longest_job=1000).job(ID).id == ID


def test_an_update_is_one_request_with_code_message_and_result() -> None:
    backend = Backend().on(PATCH, ok(STORED))
    backend.client().update_job(ID, UPDATE)
    assert backend.lines() == [PATCH]
    assert backend.bodies(PATCH) == [TOLD]
    assert backend.asked[-1].headers["content-type"] == "application/json"


def test_an_update_without_a_result_leaves_the_result_alone() -> None:
    backend = Backend().on(PATCH, ok({**JOB, "statusCode": "inProgress", "statusMessage": "m"}))
    backend.client().update_job(ID, JobUpdate(JobState.IN_PROGRESS, "m"))
    assert backend.bodies(PATCH) == [{"statusCode": "inProgress", "statusMessage": "m"}]


@pytest.mark.parametrize("answer", [{**JOB, "statusCode": "inProgress"}, JOB])
def test_an_answer_with_another_status_is_a_lost_update(answer: dict[str, Any]) -> None:
    with pytest.raises(CatalogueUpdateLost):
        Backend().on(PATCH, ok(answer)).client().update_job(ID, UPDATE)


def test_an_answer_with_another_result_is_a_lost_update() -> None:
    answer = {**STORED, "jobResultObject": {"result": []}}
    with pytest.raises(CatalogueUpdateLost, match="jobResultObject"):
        Backend().on(PATCH, ok(answer)).client().update_job(ID, UPDATE)


def test_an_answer_without_the_result_has_the_job_read() -> None:
    short = {key: value for key, value in STORED.items() if key != "jobResultObject"}
    backend = Backend().on(PATCH, ok(short)).on(GET, ok(STORED))
    backend.client().update_job(ID, UPDATE)
    assert backend.lines() == [PATCH, GET]
    with pytest.raises(CatalogueUpdateLost, match="jobResultObject"):
        Backend().on(PATCH, ok(short)).on(GET, ok(short)).client().update_job(ID, UPDATE)
    Backend().on(PATCH, ok(short)).on(GET, forbidden()).on(LIST, ok([])).client().update_job(ID, UPDATE)


def test_who_lacks_a_right_is_told_which_setting_gives_it() -> None:
    with pytest.raises(CatalogueForbidden) as raised:
        Backend().on(PATCH, forbidden()).client().update_job(ID, UPDATE)
    told = str(raised.value)
    assert "UPDATE_JOB_PRIVILEGED_GROUPS" in told
    assert "no group of it may be in CREATE_JOB_PRIVILEGED_GROUPS" in told
    assert len(told) < 500
    with pytest.raises(CatalogueForbidden, match="UPDATE_JOB_PRIVILEGED_GROUPS"):
        Backend().on(GET, forbidden()).on(LIST, ok([])).client().job(ID)


def test_a_backend_without_v4_jobs_is_told_in_v3() -> None:
    held = {"id": "j1", "jobStatusMessage": "finishedSuccessful", "jobResultObject": RESULT}
    backend = Backend().on(PATCH_V3, ok(held))
    backend.client().update_job(ID, UPDATE)
    assert backend.lines() == [PATCH, PATCH_V3]
    assert backend.bodies(PATCH_V3) == [{"jobStatusMessage": "finishedSuccessful", "jobResultObject": RESULT}]


def test_v3_that_ignored_the_update_is_a_lost_update() -> None:
    with pytest.raises(CatalogueUpdateLost):
        Backend().on(PATCH_V3, ok({"jobStatusMessage": "jobSubmitted"})).client().update_job(ID, UPDATE)


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (failing_otherwise(400, "Invalid job id."), CatalogueJobUnknown),
        (failing(404, 'Unable to get a dataset. (["x"])'), CatalogueJobUnclosable),
        (forbidden(), CatalogueForbidden),
    ],
)
def test_a_final_refusal_is_believed_without_reading_back(reply: Any, expected: type[CatalogueError]) -> None:
    backend = Backend().on(PATCH, reply)
    with pytest.raises(expected):
        backend.client(token="long-lived").update_job(ID, UPDATE)
    assert backend.lines() == [PATCH]


MAY_BE_STORED = [
    failing_otherwise(500, ACTION_FAILED),
    failing_otherwise(404, ACTION_FAILED),
    failing_otherwise(302, ACTION_FAILED),
    failing_otherwise(400, "Invalid job input. Job 'retrieve' unable to perform action 'url'"),
    crash(),
    httpx2.ReadTimeout("slow"),
    httpx2.RemoteProtocolError("dropped"),
]


@pytest.mark.parametrize("reply", MAY_BE_STORED)
def test_an_update_that_was_stored_in_spite_of_an_error_is_taken(reply: Any) -> None:
    backend = Backend().on(PATCH, reply).on(GET, ok(STORED))
    backend.client().update_job(ID, UPDATE)
    assert backend.lines() == [PATCH, GET]


def test_the_list_serves_to_read_back_where_the_job_may_not_be_read() -> None:
    backend = Backend().on(PATCH, crash()).on(GET, forbidden()).on(LIST, ok([STORED]))
    backend.client(token="long-lived").update_job(ID, UPDATE)
    assert backend.lines() == [PATCH, GET, LIST]


@pytest.mark.parametrize(
    "held",
    [
        {"statusCode": "inProgress"},
        {"statusMessage": "an older message"},
        {"jobResultObject": {"result": []}},
        {"jobResultObject": {}},
    ],
)
@pytest.mark.parametrize("reply", MAY_BE_STORED)
def test_an_error_stands_where_scicat_holds_anything_else(reply: Any, held: dict[str, Any]) -> None:
    backend = Backend().on(PATCH, reply).on(GET, ok({**STORED, **held}))
    with pytest.raises((CatalogueUnavailable, CatalogueRefused)):
        backend.client().update_job(ID, UPDATE)


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (failing_otherwise(500, ACTION_FAILED), CatalogueUnavailable),
        (crash(), CatalogueUnavailable),
        (httpx2.ConnectError("refused"), CatalogueUnavailable),
        (failing_otherwise(404, ACTION_FAILED), CatalogueRefused),
        (failing_otherwise(400, "Invalid request. Invalid value for 'statusCode'"), CatalogueRefused),
    ],
)
def test_an_error_stands_where_nothing_can_be_read_back(reply: Any, expected: type[CatalogueError]) -> None:
    backend = Backend().on(PATCH, reply).on(GET, forbidden()).on(LIST, ok([]))
    with pytest.raises(expected):
        backend.client().update_job(ID, UPDATE)


def test_a_403_of_an_update_is_repeated_once_after_a_fresh_login() -> None:
    backend = Backend().on(PATCH, forbidden(), ok(STORED))
    backend.client().update_job(ID, UPDATE)
    assert [one.line for one in backend.asked] == [LOGIN, PATCH, LOGIN, PATCH]
    assert backend.bodies(PATCH) == [TOLD, TOLD]


def test_a_result_larger_than_scicat_takes_is_refused_without_a_request() -> None:
    backend = Backend()
    with pytest.raises(CatalogueRefused, match="larger"):
        backend.client().update_job(ID, JobUpdate(JobState.SUCCESSFUL, "m", {"x": "y" * 15_000_000}))
    assert backend.asked == []


def test_a_name_that_is_not_unicode_does_not_stop_an_update() -> None:
    backend = Backend().on(PATCH, ok({**STORED, "statusMessage": "a?"}))
    backend.client().update_job(ID, JobUpdate(JobState.SUCCESSFUL, "a\udcff"))
    assert backend.bodies(PATCH)[0]["statusMessage"] == "a?"
