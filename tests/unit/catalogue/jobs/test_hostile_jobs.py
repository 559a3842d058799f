"""Jobs made to deceive or to wear the service out."""

import json
import sys
import tracemalloc
from typing import Any

import pytest

from scicat_retriever.catalogue.wire import MAX_FILE_NAME, parse_job
from scicat_retriever.domain.dataset import Selection
from scicat_retriever.domain.errors import JobMalformed
from scicat_retriever.domain.ids import DatasetPid
from tests.cpu_time import within_cpu_seconds

PID = "20.500.12345/abc"


def job(entries: object = None, **fields: Any) -> bytes:
    return json.dumps({"id": "j1", "type": "retrieve", "datasetList": entries, **fields}).encode()


def test_of_a_key_that_is_there_twice_the_last_counts_as_in_scicat_itself() -> None:
    body = b'{"id":"a","id":"b","type":"x","type":"retrieve","datasetList":[{"pid":"p","pid":"q"}]}'
    read = parse_job(body, ("retrieve",))
    assert (read.id, read.datasets) == ("b", (Selection(DatasetPid("q")),))


def test_nesting_that_the_parser_can_follow_and_nobody_asked_for_is_passed_over() -> None:
    deep: object = 1
    for _ in range(200):
        deep = [{"a": deep}]
    assert parse_job(job([{"pid": PID}], jobParams={"x": deep}, y=deep), None).id == "j1"


@pytest.mark.parametrize("opening", [b"[", b'{"a":', b'[{"a":'])
def test_nesting_without_end_is_malformed(opening: bytes) -> None:
    body = b'{"id":"j1","type":"retrieve","jobParams":' + opening * 500_000
    with pytest.raises(JobMalformed):
        parse_job(body, None)


@pytest.mark.parametrize("number", ["1e999", "-1e999", "NaN", "9" * 4000, "0." + "1" * 100_000, "1e-999999"])
def test_a_number_of_any_size_is_no_name(number: str) -> None:
    with pytest.raises(JobMalformed):
        parse_job(f'{{"id":{number},"type":"retrieve"}}'.encode(), None)


@pytest.mark.parametrize("digits", [sys.get_int_max_str_digits() + 1, 1_000_000])
def test_a_number_of_too_many_digits_is_malformed_at_once(digits: int) -> None:
    with pytest.raises(JobMalformed):
        parse_job(b'{"id":"j1","type":"retrieve","x":' + b"9" * digits + b"}", None)


@pytest.mark.parametrize(
    "fields",
    [
        {"id": "\ud800"},
        {"type": "\udfff"},
        {"datasetList": [{"pid": "a\udc00b"}]},
        {"datasetList": [{"pid": PID, "files": ["\ud83d"]}]},
        {"jobParams": {"datasetList": [{"pid": "\ud800"}]}},
    ],
)
def test_half_a_surrogate_pair_is_malformed_wherever_a_name_stands(fields: dict[str, Any]) -> None:
    with pytest.raises(JobMalformed) as raised:
        parse_job(job(**fields), None)
    str(raised.value).encode()


def test_names_that_look_alike_are_different_datasets() -> None:
    pids = ["p\u00e9", "pe\u0301", "\uff50\u00e9"]
    assert [one.pid for one in parse_job(job([{"pid": pid} for pid in pids]), None).datasets] == pids


def test_a_whole_pair_of_surrogates_is_the_character_that_it_stands_for() -> None:
    body = b'{"id":"j1","type":"retrieve","datasetList":[{"pid":"\\ud83d\\ude00"}]}'
    assert parse_job(body, None).datasets == (Selection(DatasetPid("\U0001f600")),)


@within_cpu_seconds(30)
def test_ten_thousand_datasets_are_read_and_united() -> None:
    entries = [{"pid": f"{PID}{number}", "files": []} for number in range(10_000)]
    read = parse_job(job(entries + entries), None)
    assert [one.pid for one in read.datasets] == [entry["pid"] for entry in entries]


@within_cpu_seconds(30)
def test_one_dataset_named_in_a_hundred_thousand_entries_takes_no_time() -> None:
    entries = [{"pid": PID, "files": [f"file-{number}"]} for number in range(100_000)]
    [selection] = parse_job(job(entries), None).datasets
    assert selection.files == tuple(f"file-{number}" for number in range(100_000))


@within_cpu_seconds(30)
def test_a_job_of_16_mb_costs_memory_in_proportion() -> None:
    names = [f"{number:07d}" + "n" * 100 for number in range(150_000)]
    body = job([{"pid": PID, "files": names}])
    tracemalloc.start()
    try:
        assert parse_job(body, None).datasets[0].files == tuple(names)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(body) > 15 << 20
    assert peak < 8 * len(body)


def test_a_file_name_is_bounded_in_bytes() -> None:
    assert parse_job(job([{"pid": PID, "files": ["é" * (MAX_FILE_NAME // 2)]}]), None).datasets
    with pytest.raises(JobMalformed):
        parse_job(job([{"pid": PID, "files": ["é" * (MAX_FILE_NAME // 2 + 1)]}]), None)
