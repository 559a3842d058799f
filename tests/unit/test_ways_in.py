"""One job, by every way in: it is taken or refused by all of them, in the same words."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scicat_retriever.broker.consumption import MessageJudge
from scicat_retriever.catalogue.wire import MAX_PID, judge
from scicat_retriever.domain.errors import JobRefused
from scicat_retriever.domain.ids import JobId
from scicat_retriever.domain.states import JobState
from scicat_retriever.pipeline.jobs import intake
from scicat_retriever.pipeline.jobs.reconcile import reconcile
from scicat_retriever.pipeline.reports import report
from tests.examples import examples
from tests.unit.catalogue.backend import Backend, ok
from tests.unit.http_api.rig import AUTHORIZED, JOBS, ApiRig

ID = JobId("job-1")
TYPES = ("retrieve",)
LONGEST = 20_000
Wire = Mapping[str, Any]


@dataclass(frozen=True)
class Outcome:
    """What became of a job: its state, the words that SciCat is to hear, who acts, and its datasets."""

    state: str
    words: str
    who: str
    datasets: tuple[tuple[str, bool], ...]


def in_scicat(params: Mapping[str, Any]) -> Wire:
    """The job as SciCat has it, in v4."""
    return {"id": ID, "type": "retrieve", "statusCode": "jobSubmitted", "jobParams": params}


def in_v3(job: Wire) -> Wire:
    """The same as v3 has it."""
    params = {key: value for key, value in job["jobParams"].items() if key != "datasetList"}
    listed = {key: value for key, value in job["jobParams"].items() if key == "datasetList"}
    return {"id": ID, "type": "retrieve", "jobStatusMessage": "jobSubmitted", "jobParams": params, **listed}


def carried_out(rig: ApiRig, job: Wire) -> Outcome:
    """Have the first steps of the job's flow made, where it gets one, and say what came of it."""
    scicat = Backend().on(f"GET /api/v4/jobs/{ID}", ok(job)).client(longest_job=LONGEST)
    tools = replace(rig.tools, catalogue=scicat)
    if rig.ledger.job_flows.to_start(1):
        try:
            intake.open_job(ID, tools)
        except JobRefused as refused:
            report.close_job(ID, refused.failure(), tools)
    record = rig.ledger.jobs.get(ID)
    assert record is not None
    words, who = ("", "") if record.failure is None else (record.failure.message, record.failure.who)
    datasets = tuple((each.pid, each.chosen) for each in rig.ledger.jobs.datasets(ID))
    return Outcome(record.state, words, who, datasets)


def posted(rig: ApiRig, job: Wire, shape: Callable[[Wire], Wire]) -> None:
    with rig.client(max_body_bytes=LONGEST) as client:
        answer = client.post(JOBS, content=json.dumps(shape(job)), headers=AUTHORIZED)
    record = rig.ledger.jobs.get(ID)
    if answer.status_code == 422:
        assert record is not None
        assert record.message == answer.json()["detail"]
    elif answer.status_code == 413:  # nobody knows whose it is: it is found in SciCat
        assert record is None
        found_open(rig, job)
    else:
        assert answer.status_code == 201


def published(rig: ApiRig, job: Wire) -> None:
    desk = MessageJudge(
        partial(judge, accepted_types=TYPES, longest=LONGEST),
        partial(intake.accept, jobs=rig.ledger.jobs),
        partial(intake.refuse, jobs=rig.ledger.jobs),
    )
    desk.judge_and_store(json.dumps(job).encode())
    if rig.ledger.jobs.get(ID) is None:
        found_open(rig, job)


def found_open(rig: ApiRig, job: Wire) -> None:
    listed = {key: job[key] for key in ("id", "type", "statusCode")}
    scicat = Backend().on("GET /api/v4/jobs", ok([listed])).client()
    assert reconcile(TYPES, replace(rig.tools, catalogue=scicat)).missed == 1


WAYS: Mapping[str, Callable[[ApiRig, Wire], None]] = {
    "posted as v4": partial(posted, shape=dict),
    "posted as v3": partial(posted, shape=in_v3),
    "posted in the short form": partial(posted, shape=lambda job: {"id": ID, "type": job["type"]}),
    "published": published,
    "found open": found_open,
}


def outcomes(params: Mapping[str, Any]) -> dict[str, Outcome]:
    found = {}
    for name, way in WAYS.items():
        rig = ApiRig()
        job = in_scicat(params)
        way(rig, job)
        found[name] = carried_out(rig, job)
    return found


pids = st.text(min_size=1, max_size=4) | st.sampled_from(
    ["20.500.12345/a", "p" * MAX_PID, "p" * (MAX_PID + 1)]
)
anything: st.SearchStrategy[object] = (
    st.none() | st.integers() | st.text(max_size=3) | st.just([]) | st.just({})
)
files = st.lists(st.text(max_size=3) | st.just("f" * 4097) | st.integers(), max_size=3)
entries = st.fixed_dictionaries({}, optional={"pid": pids | anything, "files": files | anything}) | anything
params = st.fixed_dictionaries(
    {},
    optional={
        "datasetList": st.lists(entries, max_size=3) | anything,
        "username": st.text(max_size=3),
        "comment": st.just("x" * (LONGEST + 1)),
    },
)


@settings(max_examples=examples(40, deep=1000))
@given(params)
def test_a_job_is_judged_alike_by_whichever_way_it_comes(asked: Mapping[str, Any]) -> None:
    found = outcomes(asked)
    assert len(set(found.values())) == 1, found


WORSE: Mapping[str, Wire] = {
    "a string": {"jobParams": "[object Object]"},
    "no datasets": {"jobParams": {}, "datasetList": []},
    "no array": {"jobParams": {"datasetList": "[object Object]"}},
    "no pid": {"jobParams": {"datasetList": [{"pid": None}]}},
}
SENT = ("posted as v4", "published")


@pytest.mark.parametrize("worse", WORSE.values(), ids=WORSE)
@pytest.mark.parametrize("first", SENT)
@pytest.mark.parametrize("then", SENT)
def test_a_worse_copy_that_comes_first_does_not_end_a_job(worse: Wire, first: str, then: str) -> None:
    rig = ApiRig()
    job = in_scicat({"datasetList": [{"pid": "20.500.12345/a"}, {"pid": "b", "files": ["f"]}]})
    WAYS[first](rig, {**job, **worse})
    assert rig.ledger.job_flows.to_start(1) == []
    WAYS[then](rig, job)
    assert carried_out(rig, job) == Outcome(
        JobState.SUBMITTED, "", "", (("20.500.12345/a", False), ("b", True))
    )


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"datasetList": [{"pid": "p" * 513}]}, "datasetList[0].pid must have at most 512 bytes"),
        ({"datasetList": [{"pid": "a\tb"}]}, "datasetList[0].pid must hold no control character"),
        ({"datasetList": []}, "The job names no dataset"),
        ({}, "The job names no dataset"),
        (
            {"datasetList": [{"pid": "p"}], "comment": "x" * LONGEST},
            f"The request is larger than {LONGEST} bytes (api.max_body_bytes): ask for fewer datasets or files at once",
        ),
    ],
)
def test_a_job_that_can_never_be_carried_out_fails_at_once_and_the_user_is_told_why(
    asked: Mapping[str, Any], words: str
) -> None:
    expected = Outcome(JobState.UNSUCCESSFUL, words, "user", ())
    assert outcomes(asked) == dict.fromkeys(WAYS, expected)
