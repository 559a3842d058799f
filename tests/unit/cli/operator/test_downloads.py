"""`retriever downloads`."""

from __future__ import annotations

import json

from scicat_retriever.domain.ids import JobId
from scicat_retriever.ports.downloads import DownloadEnd
from tests.unit.cli.operator.rig import Operator
from tests.unit.http_api.operators.test_audit import note
from tests.unit.http_api.rig import ApiRig
from tests.unit.pipeline.rig import JOB


def test_downloads_are_listed_with_the_sum_of_each_job(operator: Operator, api: ApiRig) -> None:
    note(api, 1)
    note(api, 2, end=DownloadEnd.BROKEN_OFF)
    note(api, 3, None)
    printed = operator.gets("downloads", "ls")
    rows = [line for line in printed.splitlines() if "link 1a2b3c4d" in line]
    assert ["file-3" in rows[0], "file-2" in rows[1], "file-1" in rows[2]] == [True] * 3
    assert "broken off" in rows[1]
    assert f"job {JOB}: 2 downloads, 20 bytes sent, the last one began " in printed
    assert "older ones" not in printed


def test_one_job_may_be_named_and_few_asked_for(operator: Operator, api: ApiRig) -> None:
    for number in range(3):
        note(api, number)
    note(api, 9, JobId("other"))
    printed = operator.gets("downloads", "ls", "--job", JOB, "--limit", "2")
    assert ["file-9" in printed, "file-2" in printed, "file-1" in printed] == [False, True, True]
    assert "there are older ones: --before 2" in printed
    printed = operator.gets("downloads", "ls", "--job", JOB, "--before", "2")
    assert ["file-1" in printed, "file-0" in printed] == [False, True]


def test_the_answer_can_be_had_as_it_is(operator: Operator, api: ApiRig) -> None:
    note(api, 1)
    assert json.loads(operator.gets("downloads", "ls", "--json"))["downloads"][0]["sent"] == 10


def test_names_cannot_command_the_terminal(operator: Operator, api: ApiRig) -> None:
    note(api, 1, JobId("a\x1b[2Jb"))
    assert "\x1b" not in operator.gets("downloads", "ls")
