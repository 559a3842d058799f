"""`retriever recalls`, and `retriever jobs priority`."""

import re

from tests.unit.cli.operator.rig import Operator
from tests.unit.http_api.operators.test_recalls import WORDS, from_tape
from tests.unit.http_api.rig import ApiRig
from tests.unit.pipeline.rig import JOB, PID


def test_what_waits_for_tape_is_listed(operator: Operator, api: ApiRig) -> None:
    from_tape(api)
    printed = operator.gets("recalls", "ls")
    assert "lts: 1 waiting, 1 asked, 0 online, 0 ended" in printed
    assert PID in printed
    assert WORDS in printed
    heading, *rows = [
        list(map(str.strip, re.split("[┃│]", line)))
        for line in printed.splitlines()
        if PID in line or "dataset" in line
    ]
    row = dict(zip(heading, rows[0], strict=True))
    assert (row["store"], row["phase"], row["priority"]) == ("lts", "asked", "0")


def test_one_store_may_be_named(operator: Operator, api: ApiRig) -> None:
    from_tape(api)
    assert PID not in operator.gets("recalls", "ls", "--store", "cold")
    assert PID in operator.gets("recalls", "ls", "--store", "lts")


def test_a_store_that_is_not_there_is_told(operator: Operator) -> None:
    said = operator.fails("recalls", "ls", "--store", "nope", code=1)
    assert said == "retriever: there is no long-term store 'nope'; there are lts, cold"


def test_a_job_may_go_last(operator: Operator, api: ApiRig) -> None:
    from_tape(api)
    assert "has priority -5" in operator.gets("jobs", "priority", JOB, "-5")


def test_a_job_is_given_a_priority(operator: Operator, api: ApiRig) -> None:
    from_tape(api)
    assert f"job {JOB} has priority 7" in operator.gets("jobs", "priority", JOB, "7")
    assert {each.priority for each in api.ledger.recalls.of_store("lts")} == {7}
    assert "(attempt 1, priority 7)" in operator.gets("jobs", "show", JOB)


def test_the_range_of_priorities_is_in_the_help(operator: Operator) -> None:
    assert "-1000<=x<=1000" in operator.gets("jobs", "priority", "--help").replace("\n", "")
