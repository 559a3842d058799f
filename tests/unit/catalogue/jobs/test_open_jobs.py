import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scicat_retriever.domain.dataset import RetrieveJob
from scicat_retriever.domain.errors import (
    CatalogueAnswerUnreadable,
    CatalogueError,
    CatalogueForbidden,
    CatalogueLoginFailed,
    CatalogueUnavailable,
)
from scicat_retriever.domain.ids import JobId
from scicat_retriever.ports.catalogue import ListedJob, Visibility
from tests.unit.catalogue.backend import (
    LOGIN,
    Backend,
    Reply,
    breaking_off,
    crash,
    failing,
    forbidden,
    ok,
)

LIST, LIST_V3 = "GET /api/v4/jobs", "GET /api/v3/jobs/fullquery"
WITNESS = JobId("w")
READ, READ_V3, WHO = "GET /api/v4/jobs/w", "GET /api/v3/jobs/w", "GET /api/v3/auth/whoami"
MISSING = failing(404, "Cannot GET /api/v4/jobs")
UNKNOWN_JOB = failing(400, "Invalid job id.")


def entry(job_id: str = "j1", **fields: Any) -> dict[str, Any]:
    return {
        "createdAt": "2026-11-23T02:17:59.739Z",
        "id": job_id,
        "ownerGroup": "group1",
        "ownerUser": "scientist",
        "statusCode": "jobSubmitted",
        "type": "retrieve",
        "updatedBy": "scientist",
        **fields,
    }


def entry_v3(job_id: str = "j1", **fields: Any) -> dict[str, Any]:
    return {
        "_id": job_id,
        "id": job_id,
        "type": "retrieve",
        "creationTime": "2026-11-23T02:17:59.739Z",
        "jobParams": {"username": "scientist", "option": "PSI"},
        "jobStatusMessage": "jobSubmitted",
        "datasetList": [{"pid": "20.500.12345/abc", "files": []}],
        "jobResultObject": {},
        **fields,
    }


def listed(scripted: Backend, *types: str, **settings: Any) -> list[ListedJob]:
    return list(scripted.client(**settings).open_jobs(types or ("retrieve",)))


def ids(scripted: Backend, **settings: Any) -> list[str]:
    return [one.id for one in listed(scripted, **settings)]


def filters(scripted: Backend) -> list[Any]:
    return [json.loads(one.query["filter"]) for one in scripted.asked if one.line == LIST]


def test_a_job_is_given_in_the_short_form_with_its_status_and_who_updated_it() -> None:
    scripted = Backend().on(LIST, ok([entry(statusCode="inProgress", updatedBy="archiveManager")]))
    short = RetrieveJob(JobId("j1"), "retrieve", (), "scientist", "group1")
    assert listed(scripted) == [ListedJob(JobId("j1"), "inProgress", "archiveManager", short)]


def test_all_are_asked_for_at_once_oldest_first_without_their_bodies() -> None:
    scripted = Backend().on(LIST, ok([entry()]))
    listed(scripted)
    assert filters(scripted) == [
        {
            "where": {"type": "retrieve", "statusCode": {"$in": ["jobSubmitted", "inProgress"]}},
            "sort": {"createdAt": 1},
            "fields": ["id", "type", "ownerUser", "ownerGroup", "statusCode", "updatedBy", "createdAt"],
            "limits": {"limit": 10_000},
        }
    ]


def test_several_types_are_asked_for_at_once() -> None:
    scripted = Backend().on(LIST, ok([entry("j1", type="a"), entry("j2", type="b")]))
    assert [one.id for one in listed(scripted, "a", "b")] == ["j1", "j2"]
    assert filters(scripted)[0]["where"]["type"] == {"$in": ["a", "b"]}


def test_nothing_is_asked_for_no_type() -> None:
    scripted = Backend()
    assert list(scripted.client().open_jobs(())) == []
    assert scripted.asked == []


def test_a_list_that_fills_the_limit_is_asked_for_again_with_a_larger_one() -> None:
    first = [entry(f"j{n}") for n in range(10_000)]
    scripted = Backend().on(LIST, ok(first), ok([*first, entry("last")]))
    assert ids(scripted) == [*(one["id"] for one in first), "last"]
    assert [one["limits"]["limit"] for one in filters(scripted)] == [10_000, 100_000]


def test_a_job_that_is_listed_twice_is_given_once() -> None:
    assert ids(Backend().on(LIST, ok([entry("j1"), entry("j2"), entry("j1")]))) == ["j1", "j2"]


def test_an_empty_list_is_asked_for_again_after_a_fresh_login() -> None:
    scripted = Backend().on(LIST, ok([]), ok([entry()]))
    assert ids(scripted) == ["j1"]
    assert [one.line for one in scripted.asked] == [LOGIN, LIST, LOGIN, LIST]


def test_an_empty_list_is_believed_after_a_fresh_login() -> None:
    scripted = Backend().on(LIST, ok([]))
    assert ids(scripted) == []
    assert scripted.lines() == [LIST, LIST]


def test_an_empty_list_is_believed_where_no_login_is_possible() -> None:
    scripted = Backend().on(LIST, ok([]))
    assert ids(scripted, token="long-lived") == []
    assert scripted.lines() == [LIST]


def test_an_empty_list_is_not_believed_where_the_login_is_refused() -> None:
    scripted = Backend().on(LIST, ok([]))
    client = scripted.client()
    assert list(client.open_jobs(["retrieve"])) == []
    scripted.on(LOGIN, failing(401, "Unauthorized"))
    with pytest.raises(CatalogueLoginFailed):
        list(client.open_jobs(["retrieve"]))


def test_a_job_is_given_before_the_next_has_come() -> None:
    begun = b"[" + json.dumps(entry()).encode() + b","
    scripted = Backend().on(LIST, breaking_off([begun], httpx2.ReadError("gone")))
    jobs = scripted.client().open_jobs(["retrieve"])
    assert next(jobs).id == "j1"
    with pytest.raises(CatalogueUnavailable):
        next(jobs)


@pytest.mark.parametrize("other", [{"statusCode": "finishedSuccessful"}, {"type": "archive"}, {"type": {}}])
def test_what_was_not_asked_for_is_left_out(other: dict[str, Any]) -> None:
    assert ids(Backend().on(LIST, ok([entry("j1", **other), entry("j2")]))) == ["j2"]


@pytest.mark.parametrize(
    ("broken", "shown"),
    [
        (entry("a\nb"), "a b"),
        (entry("x" * 400), "x" * 299 + "…"),
        (entry(id=None), ""),
        (entry(id=7), ""),
        ({}, ""),
        ("text", ""),
    ],
    ids=repr,
)
def test_a_malformed_job_is_given_with_its_fault_and_does_not_stop_the_others(
    broken: Any, shown: str
) -> None:
    first, second = listed(Backend().on(LIST, ok([broken, entry("good")])))
    assert (first.id, first.job) == (shown, None)
    assert first.fault is not None
    assert first.fault.code == "job_malformed"
    assert (second.id, second.fault) == ("good", None)


@given(st.lists(st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.sampled_from(["id", "_id", "type", "statusCode", "ownerUser", "updatedBy", "jobParams"]),
                      inner | st.sampled_from(["jobSubmitted", "retrieve"]), max_size=7),
    max_leaves=10), max_size=5))  # fmt: skip
def test_whatever_is_listed_the_good_jobs_are_given(others: list[Any]) -> None:
    answer = httpx2.Response(200, content=json.dumps([*others, entry("good")]).encode("utf-8", "replace"))
    jobs = listed(Backend().on(LIST, answer))
    assert jobs[-1].job == RetrieveJob(JobId("good"), "retrieve", (), "scientist", "group1")
    assert all((one.job is None) != (one.fault is None) for one in jobs)


@pytest.mark.parametrize("content", [b"{}", b"null", b'"[]"', b"<html>", b"[[", b'{"a":[]}', b"[" * 100])
def test_what_is_no_list_is_not_taken_for_an_empty_one(content: bytes) -> None:
    with pytest.raises((CatalogueAnswerUnreadable, CatalogueUnavailable)):
        ids(Backend().on(LIST, httpx2.Response(200, content=content)))


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (forbidden(), CatalogueForbidden),
        (crash(), CatalogueUnavailable),
        (httpx2.Response(404, text="<html>"), CatalogueUnavailable),
        (httpx2.ConnectError("no"), CatalogueUnavailable),
    ],
    ids=["forbidden", "crash", "proxy", "unreachable"],
)
def test_a_refusal_is_no_empty_list(reply: Reply, expected: type[CatalogueError]) -> None:
    with pytest.raises(expected):
        ids(Backend().on(LIST, reply))


def test_a_backend_without_jobs_in_v4_is_asked_in_v3() -> None:
    scripted = Backend().on(LIST, MISSING).on(LIST_V3, ok([entry_v3("j1"), entry_v3("j2", type="archive")]))
    short = RetrieveJob(JobId("j1"), "retrieve", (), "scientist", None)
    assert listed(scripted) == [ListedJob(JobId("j1"), "jobSubmitted", None, short)]
    asked = scripted.asked[-1].query
    assert json.loads(asked["fields"]) == {
        "type": "retrieve",
        "jobStatusMessage": ["jobSubmitted", "inProgress"],
    }
    assert json.loads(asked["limits"]) == {"limit": 10_000, "order": "creationTime:asc"}


def test_a_refusal_of_v3_is_no_empty_list() -> None:
    with pytest.raises(CatalogueForbidden):
        ids(Backend().on(LIST, MISSING).on(LIST_V3, forbidden()))


def witnessed(scripted: Backend) -> Visibility:
    return scripted.client().visibility(WITNESS)


def groups(*names: str) -> httpx2.Response:
    return ok({"username": "archiveManager", "currentGroups": list(names)})


def test_without_a_witness_nothing_is_known_and_nothing_asked() -> None:
    scripted = Backend()
    assert scripted.client().visibility(None) is Visibility.UNKNOWN
    assert scripted.asked == []


def test_somebody_elses_job_in_the_list_shows_that_jobs_are_visible() -> None:
    scripted = Backend().on(LIST, ok([entry("w")])).on(WHO, groups("archivemanager"))
    assert witnessed(scripted) is Visibility.VISIBLE
    assert filters(scripted)[0]["where"] == {"id": "w"}
    assert READ not in scripted.lines()


@pytest.mark.parametrize("read", [forbidden(), ok(entry("w"))], ids=["forbidden", "readable by its id alone"])
def test_a_job_that_exists_and_is_not_listed_shows_that_jobs_are_hidden(read: httpx2.Response) -> None:
    scripted = Backend().on(LIST, ok([])).on(READ, read)
    assert witnessed(scripted) is Visibility.HIDDEN


def test_a_job_that_scicat_has_no_more_shows_nothing() -> None:
    assert witnessed(Backend().on(LIST, ok([])).on(READ, UNKNOWN_JOB)) is Visibility.UNKNOWN


@pytest.mark.parametrize(
    ("job", "who"),
    [
        (entry("w", ownerUser="archiveManager"), groups()),
        (entry("w"), groups("globalaccess", "group1")),
        (entry("w", ownerUser=None), groups()),
    ],
    ids=["its owner", "in its group", "owner not shown"],
)
def test_a_job_that_the_account_may_see_anyway_shows_nothing(
    job: dict[str, Any], who: httpx2.Response
) -> None:
    assert witnessed(Backend().on(LIST, ok([job])).on(WHO, who)) is Visibility.UNKNOWN


@pytest.mark.parametrize(
    "who", [httpx2.Response(200), failing(404, "Cannot GET x")], ids=["nobody", "no route"]
)
def test_groups_that_are_not_told_count_as_none(who: httpx2.Response) -> None:
    assert witnessed(Backend().on(LIST, ok([entry("w")])).on(WHO, who)) is Visibility.VISIBLE


def test_visibility_is_told_by_v3_where_there_is_no_v4() -> None:
    scripted = Backend().on(LIST, MISSING).on(READ, MISSING).on(WHO, groups())
    assert witnessed(scripted.on(LIST_V3, ok([entry_v3("w")]))) is Visibility.VISIBLE
    assert json.loads(scripted.asked[2].query["fields"]) == {"id": "w"}
    assert witnessed(scripted.on(LIST_V3, ok([])).on(READ_V3, forbidden())) is Visibility.HIDDEN
    assert witnessed(scripted.on(READ_V3, UNKNOWN_JOB)) is Visibility.UNKNOWN


@pytest.mark.parametrize(
    "scripted",
    [
        lambda: Backend().on(LIST, crash()),
        lambda: Backend().on(LIST, ok([])).on(READ, crash()),
        lambda: Backend().on(LIST, ok([entry("w")])).on(WHO, httpx2.ReadTimeout("slow")),
    ],
)
def test_a_scicat_that_is_away_shows_nothing_but_that(scripted: Callable[[], Backend]) -> None:
    with pytest.raises(CatalogueUnavailable):
        witnessed(scripted())


def test_the_account_is_known_after_the_first_login() -> None:
    client = Backend().on(LIST, ok([])).client()
    assert client.account() is None
    list(client.open_jobs(["retrieve"]))
    assert client.account() == "archiveManager"


def test_an_iterator_that_is_given_up_closes_the_answer() -> None:
    closed: list[bool] = []

    def body() -> Iterator[bytes]:
        try:
            yield b"[" + json.dumps(entry()).encode() + b","
            yield json.dumps(entry("j2")).encode() + b"]"
        finally:
            closed.append(True)

    jobs = Backend().on(LIST, httpx2.Response(200, content=body())).client().open_jobs(["retrieve"])
    next(jobs)
    del jobs
    assert closed == [True]
