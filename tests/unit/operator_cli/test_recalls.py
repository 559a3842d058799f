"""`retriever recalls`, and `retriever jobs priority`."""

from tests.unit.http_api.rig import ApiRig
from tests.unit.http_api.test_recalls import WORDS, from_tape
from tests.unit.operator_cli.rig import Operator
from tests.unit.pipeline.rig import JOB, PID


def test_what_waits_for_tape_is_listed(operator: Operator, api: ApiRig) -> None:
    from_tape(api)
    printed = operator.gets("recalls", "ls")
    assert "lts: 1 waiting, 1 asked, 0 online, 0 ended" in printed
    assert PID in printed
    assert WORDS in printed


def test_one_store_may_be_named(operator: Operator, api: ApiRig) -> None:
    from_tape(api)
    assert PID not in operator.gets("recalls", "ls", "--store", "vault")


def test_a_job_may_go_last(operator: Operator, api: ApiRig) -> None:
    from_tape(api)
    assert "has priority -5" in operator.gets("jobs", "priority", JOB, "-5")


def test_a_job_is_given_a_priority(operator: Operator, api: ApiRig) -> None:
    from_tape(api)
    assert f"job {JOB} has priority 7" in operator.gets("jobs", "priority", JOB, "7")
    assert {each.priority for each in api.ledger.recalls("lts")} == {7}
