import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scicat_retriever.catalogue.wire import MAX_FILES, MAX_ID, MAX_PID, encoded, parse_job
from scicat_retriever.domain.dataset import RetrieveJob, Selection
from scicat_retriever.domain.errors import DatasetListEmpty, JobMalformed, JobTypeUnknown
from scicat_retriever.domain.ids import DatasetPid, JobId

TYPES = ("retrieve",)
PID, OTHER = DatasetPid("20.500.12345/abc"), DatasetPid("20.500.12345/def")


def v4(entries: object, **fields: object) -> dict[str, Any]:
    return {"id": "j1", "type": "retrieve", "jobParams": {"datasetList": entries}, **fields}


def entry(pid: object = PID, *files: str) -> dict[str, object]:
    return {"pid": pid, "files": list(files)}


def test_a_job_may_name_so_many_files_and_no_more() -> None:
    names = [str(number) for number in range(MAX_FILES)]
    assert len(parse_job(v4([entry(PID, *names)]), TYPES).datasets[0].files) == MAX_FILES
    with pytest.raises(JobMalformed, match="more than 200000 files") as refused:
        parse_job(v4([entry(PID, *names), entry(OTHER, "one more")]), TYPES)
    assert refused.value.field == "$.jobParams.datasetList"


def test_a_v4_job_is_read() -> None:
    body = v4(
        [entry(), entry(OTHER, "a", "b")], ownerUser="ada", ownerGroup="group1", statusCode="jobSubmitted"
    )
    assert parse_job(json.dumps(body).encode(), TYPES) == RetrieveJob(
        JobId("j1"), "retrieve", (Selection(PID), Selection(OTHER, ("a", "b"))), "ada", "group1"
    )


def test_a_v3_job_is_read() -> None:
    body = {"id": "j1", "type": "retrieve", "jobParams": {"option": "x"}, "datasetList": [entry()]}
    assert parse_job(body, TYPES) == RetrieveJob(JobId("j1"), "retrieve", (Selection(PID),))


def test_what_the_url_action_renders_is_read() -> None:
    inner = {"id": "j1", "type": "retrieve", "datasetList": [entry()]}
    body = v4(
        [entry()],
        datasetList=[entry()],
        datasets=[{"pid": PID}],
        job_v3=inner,
        job=v4([entry()]),
        ownerUser="ada",
    )
    assert parse_job(body, TYPES) == RetrieveJob(JobId("j1"), "retrieve", (Selection(PID),), "ada")


def test_the_short_form_names_no_datasets() -> None:
    assert parse_job(b'{"id":"j1","type":"retrieve"}', TYPES) == RetrieveJob(JobId("j1"), "retrieve")


def test_the_id_may_be_the_databases() -> None:
    assert parse_job({"_id": "j1", "type": "retrieve"}, TYPES).id == "j1"


def test_any_type_is_taken_where_none_is_asked_for() -> None:
    assert parse_job({"id": "j1", "type": "public"}, None).type == "public"


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        (
            [entry(PID, "a"), entry(OTHER), entry(PID, "b", "a")],
            (Selection(PID, ("a", "b")), Selection(OTHER)),
        ),
        ([entry(PID, "a"), entry(PID)], (Selection(PID),)),
        ([entry(PID), entry(PID, "a")], (Selection(PID),)),
        ([entry(PID, "a", "a")], (Selection(PID, ("a",)),)),
        ([{"pid": PID}], (Selection(PID),)),
        ([{"pid": PID, "files": None}], (Selection(PID),)),
    ],
    ids=["united", "whole wins late", "whole wins early", "file twice", "no files", "null files"],
)
def test_entries_of_one_dataset_are_united(entries: list[object], expected: tuple[Selection, ...]) -> None:
    assert parse_job(v4(entries), TYPES).datasets == expected


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ([], "$"),
        ({"type": "retrieve"}, "$.id"),
        ({"id": 5, "type": "retrieve"}, "$.id"),
        ({"id": "", "type": "retrieve"}, "$.id"),
        ({"id": "a\nb", "type": "retrieve"}, "$.id"),
        ({"id": "a\x00", "type": "retrieve"}, "$.id"),
        ({"id": "x" * (MAX_ID + 1), "type": "retrieve"}, "$.id"),
        ({"id": "j1"}, "$.type"),
        ({"id": "j1", "type": ["retrieve"]}, "$.type"),
        ({"id": "j1", "type": "retrieve", "jobParams": []}, "$.jobParams"),
        (v4("x"), "$.jobParams.datasetList"),
        (v4([entry(), "x"]), "$.jobParams.datasetList[1]"),
        (v4([entry(), entry(), entry(7)]), "$.jobParams.datasetList[2].pid"),
        (v4([entry("a\x1b[0m")]), "$.jobParams.datasetList[0].pid"),
        (v4([entry("x" * (MAX_PID + 1))]), "$.jobParams.datasetList[0].pid"),
        (v4([{"pid": PID, "files": "a"}]), "$.jobParams.datasetList[0].files"),
        (v4([{"pid": PID, "files": ["a", 1]}]), "$.jobParams.datasetList[0].files[1]"),
        (v4([entry(PID, "a\x00b")]), "$.jobParams.datasetList[0].files[0]"),
        (v4([entry(PID, "")]), "$.jobParams.datasetList[0].files[0]"),
        ({"id": "j1", "type": "retrieve", "datasetList": {}}, "$.datasetList"),
        ({"id": "j1", "type": "retrieve", "datasetList": [{}]}, "$.datasetList[0].pid"),
    ],
)
def test_the_first_offending_field_is_named(body: object, field: str) -> None:
    with pytest.raises(JobMalformed) as raised:
        parse_job(json.dumps(body).encode(), TYPES)
    assert type(raised.value) is JobMalformed
    assert raised.value.field == field


@pytest.mark.parametrize(
    "body", [b"", b"{", b"\xff\xfe", b"[" * 100_000, b'{"id":' + b"9" * 5000 + b"}", b"null"]
)
def test_what_is_no_json_object_is_malformed(body: bytes) -> None:
    with pytest.raises(JobMalformed):
        parse_job(body, TYPES)


def test_half_a_surrogate_pair_is_malformed() -> None:
    with pytest.raises(JobMalformed) as raised:
        parse_job(b'{"id":"j1","type":"retrieve","datasetList":[{"pid":"\\ud800"}]}', TYPES)
    assert raised.value.field == "$.datasetList[0].pid"


def test_an_unknown_type_is_said() -> None:
    with pytest.raises(JobTypeUnknown) as raised:
        parse_job({"id": "j1", "type": "archive"}, TYPES)
    assert raised.value.field == "$.type"


@pytest.mark.parametrize("body", [v4([]), {"id": "j1", "type": "retrieve", "datasetList": []}])
def test_an_empty_dataset_list_is_not_the_short_form(body: dict[str, Any]) -> None:
    with pytest.raises(DatasetListEmpty):
        parse_job(body, TYPES)


def test_an_owner_that_is_no_name_is_left_out() -> None:
    job = parse_job(v4([entry()], ownerUser={"x": 1}, ownerGroup="a\nb"), TYPES)
    assert (job.owner_user, job.owner_group) == (None, None)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=20,
)
NEARLY_A_JOB = st.fixed_dictionaries(
    {},
    optional={
        "id": st.just("j1") | JSON,
        "type": st.just("retrieve") | JSON,
        "datasetList": JSON,
        "jobParams": JSON
        | st.fixed_dictionaries(
            {},
            optional={
                "datasetList": st.lists(st.fixed_dictionaries({}, optional={"pid": JSON, "files": JSON}))
            },
        ),
    },
)


@given(st.binary(max_size=200) | (JSON | NEARLY_A_JOB).map(lambda value: json.dumps(value).encode()))
def test_whatever_is_posted_is_a_job_or_malformed(body: bytes) -> None:
    try:
        job = parse_job(body, TYPES)
    except JobMalformed:
        return
    assert job.type == "retrieve"
    texts = [job.id, *(one.pid for one in job.datasets)]
    assert [text.encode().decode() for text in texts] == texts


NAMES = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=20)
JOBS = st.builds(
    RetrieveJob,
    id=NAMES.map(JobId),
    type=st.just("retrieve"),
    datasets=st.lists(
        st.builds(Selection, NAMES.map(DatasetPid), st.lists(NAMES, max_size=3, unique=True).map(tuple)),
        max_size=4,
        unique_by=lambda selection: selection.pid,
    ).map(tuple),
    owner_user=st.none() | NAMES,
    owner_group=st.none() | NAMES,
)


@given(JOBS, st.booleans())
def test_a_job_survives_the_way_through_json(job: RetrieveJob, in_v4: bool) -> None:
    entries = [{"pid": one.pid, "files": list(one.files)} for one in job.datasets] or None
    lists = {"jobParams": {"datasetList": entries}} if in_v4 else {"datasetList": entries}
    owner = {"ownerUser": job.owner_user, "ownerGroup": job.owner_group}
    assert parse_job(encoded({"id": job.id, "type": job.type, **owner, **lists}), TYPES) == job


def test_text_that_utf8_cannot_hold_is_still_sent() -> None:
    assert encoded({"name": "a\udcffb", "é": 1}) == '{"name":"a?b","é":1}'.encode()


@pytest.mark.parametrize(("letters", "taken"), [(64, True), (65, False)])
def test_a_jobs_id_is_bounded_in_bytes_since_the_engine_counts_those(letters: int, taken: bool) -> None:
    body = {"id": "\U0001f600" * letters, "type": "retrieve"}
    if taken:
        assert parse_job(body, None).id == body["id"]
    else:
        with pytest.raises(JobMalformed, match="256 bytes"):
            parse_job(body, None)
