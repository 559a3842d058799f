"""`retriever staging`."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest

from scicat_retriever.domain.errors import NoSpaceYet
from scicat_retriever.domain.ids import DatasetPid, JobId
from scicat_retriever.pipeline.staging import space
from tests.fakes.staging_area import InMemoryStagingArea
from tests.unit.cli.operator.rig import Operator
from tests.unit.http_api.rig import ApiRig
from tests.unit.pipeline.rig import CACHE, FILES, JOB, PID, START, tar

Q = DatasetPid("20.500.12345/q")
SECOND = JobId("6f1c2a50-0000-4000-8000-000000000002")
SIZE = len(tar(FILES))
DAY = timedelta(days=1)


def rows(printed: str) -> list[list[str]]:
    """The cells of the tables' rows, their headings among them."""
    lines = [line for line in printed.splitlines() if line[:1] in "│┃"]
    return [[cell.strip() for cell in line.replace("┃", "│").strip("│").split("│")] for line in lines]


def pinned(api: ApiRig) -> dict[tuple[str, str], object]:
    return {(pin.pid, pin.owner): pin.until for _, pin in api.ledger.pins.find()}


def sent(operator: Operator) -> Any:
    return json.loads(operator.requests[-1].content)


def test_what_is_staged_is_listed_for_people(operator: Operator, api: ApiRig) -> None:
    api.retrieved(PID)
    api.ledger.pins.pin(PID, "x", START + 20 * DAY)
    api.staged_dataset(pid=Q)
    printed = operator.gets("staging", "ls")
    assert rows(printed)[1:] == [
        [PID, "p-0.tar", "10 kB", "2026-03-01 12:00", "2026-03-01 12:00", "2026-03-21 12:00 (2 pins)"],
        [Q, "q-0.tar", "10 kB", "2026-03-01 12:00", "2026-03-01 12:00", ""],
    ]
    assert printed.endswith("2 datablocks, 20 kB\n")


def test_one_dataset_can_be_listed(operator: Operator, api: ApiRig) -> None:
    api.staged_dataset()
    api.staged_dataset(pid=Q)
    assert [row[0] for row in rows(operator.gets("staging", "ls", Q))[1:]] == [Q]


def test_what_a_running_job_keeps_is_listed_so(operator: Operator, api: ApiRig) -> None:
    api.staged_dataset()
    api.job(PID)
    assert rows(operator.gets("staging", "ls"))[1][-1] == "its job ends"
    assert rows(operator.gets("staging", "pins"))[1][:4] == [PID, f"job {JOB}", "", "its job ends"]


def test_scripts_get_the_list_as_the_api_gives_it(operator: Operator, api: ApiRig) -> None:
    api.staged_dataset()
    [only] = json.loads(operator.gets("staging", "ls", "--json"))["datablocks"]
    assert (only["dataset"], only["size"], only["pinnedUntil"]) == (PID, SIZE, None)


@pytest.mark.parametrize(
    ("limit", "asked_for"), [(7, [7]), (1000, [1000]), (1003, [1000, 3]), (5000, [1000] * 3)]
)
def test_a_long_list_is_asked_for_page_by_page(limit: int, asked_for: list[int]) -> None:
    def answer(request: httpx2.Request) -> httpx2.Response:
        first = int(request.url.params.get("after", "0"))
        last = min(first + int(request.url.params["limit"]), 2500)
        entry = {"dataset": "p", "owner": "x", "byJob": False, "group": None, "until": None}
        made = {"createdAt": "2026-03-01T12:00:00Z"}
        return httpx2.Response(
            200, json={"pins": [{**entry, **made, "number": n} for n in range(first + 1, last + 1)]}
        )

    operator = Operator(answer)
    found = json.loads(operator.gets("staging", "pins", "--limit", str(limit), "--json"))["pins"]
    assert [each["number"] for each in found] == list(range(1, min(limit, 2500) + 1))
    assert [int(request.url.params["limit"]) for request in operator.requests] == asked_for


def test_the_pages_of_what_is_staged_follow_one_another(operator: Operator, api: ApiRig) -> None:
    blocks = [api.archive(number) for number in range(10)]
    many = [api.archive(number, Q) for number in range(1001)]
    api.staged_dataset(*blocks)
    api.staged_dataset(*many, pid=Q)
    found = json.loads(operator.gets("staging", "ls", "--limit", "2000", "--json"))["datablocks"]
    assert len(found) == len({(each["dataset"], each["datablock"]) for each in found}) == 1011
    assert len(operator.requests) == 2


def test_usage_is_shown_in_words(operator: Operator, api: ApiRig) -> None:
    api.retrieved(PID)
    api.staged_dataset(pid=Q)
    api.ledger.findings.note("staging", {"staged": 2, "wrong_size": 1, "advice": ""})
    printed = operator.gets("staging", "usage")
    assert rows(printed)[1:] == [
        ["capacity", "1.1 GB", ""],
        ["staged", "20 kB", "in 2 datablocks"],
        ["pinned", "10 kB", "stays"],
        ["cached", "10 kB", "goes when its space is needed"],
        ["claimed", "0 bytes", "0 bytes of it written"],
        ["free", "1.1 GB", ""],
    ]
    assert "last check: 2026-03-01 12:00 UTC: staged 2, wrong size 1\nlast fixity: never\n" in printed


def test_usage_shows_who_waits_and_what_groups_have_pinned() -> None:
    policy = replace(CACHE, quotas={"proposal-7": 10**9})
    api = ApiRig(staging=InMemoryStagingArea(capacity=SIZE), cache=policy)
    api.retrieved(PID)
    api.catalogue.add_dataset(Q, (api.archive(pid=Q),))
    api.submit(Q, name=SECOND)
    with pytest.raises(NoSpaceYet):
        space.claim_job(SECOND, api.tools)
    with api.client() as client:
        printed = Operator(client).gets("staging", "usage")
    assert ["1", SECOND, "10 kB"] in rows(printed)
    assert "1 jobs wait for 10 kB" in printed
    assert ["proposal-7", "0 bytes", "1.0 GB"] in rows(printed)


def test_scripts_get_usage_as_the_api_gives_it(operator: Operator, api: ApiRig) -> None:
    api.staged_dataset()
    assert json.loads(operator.gets("staging", "usage", "--json"))["cached"] == SIZE


def test_a_dataset_is_pinned_for_somebody(operator: Operator, api: ApiRig) -> None:
    api.staged_dataset()
    printed = operator.gets("staging", "pin", PID, "--owner", "beamline 9", "--for", "7d")
    assert printed == f"{PID} is pinned until 2026-03-08 12:00 UTC\n"
    assert pinned(api) == {(PID, "beamline 9"): START + 7 * DAY}


def test_a_pin_may_have_a_time_as_its_end(operator: Operator, api: ApiRig) -> None:
    api.staged_dataset()
    operator.gets("staging", "pin", PID, "--owner", "x", "--until", "2026-12-24T12:00+02:00")
    assert pinned(api) == {(PID, "x"): datetime(2026, 12, 24, 10, tzinfo=UTC)}


def test_what_a_job_brought_is_kept_longer(operator: Operator, api: ApiRig) -> None:
    api.retrieved(PID, Q)
    printed = operator.gets("staging", "pin", "--job", JOB, "--for", "30d")
    assert printed == "".join(
        f"{pid} is pinned until 2026-04-01 12:00 UTC; its links expire 2026-03-31 12:00 UTC\n"
        for pid in (PID, Q)
    )


def test_scripts_get_what_was_pinned_as_json(operator: Operator, api: ApiRig) -> None:
    api.staged_dataset()
    printed = operator.gets("staging", "pin", PID, "--owner", "x", "--for", "1h", "--json")
    assert json.loads(printed)["datasets"][0]["until"] == "2026-03-01T13:00:00Z"


def test_pins_are_listed_for_people(operator: Operator, api: ApiRig) -> None:
    api.retrieved(PID)
    api.ledger.pins.pin(PID, "beamline 9", START + DAY)
    assert rows(operator.gets("staging", "pins", "--owner", "beamline 9"))[1:] == [
        [PID, "beamline 9", "", "2026-03-02 12:00", "2026-03-01 12:00"]
    ]
    assert len(rows(operator.gets("staging", "pins", PID))) == 3
    assert len(rows(operator.gets("staging", "pins", Q))) == 1


def test_a_job_gives_back_one_dataset_or_all(operator: Operator, api: ApiRig) -> None:
    api.retrieved(PID, Q)
    printed = operator.gets("staging", "release", "--job", JOB, "--dataset", Q)
    assert printed == f"{Q} is not pinned by {JOB} any more\n"
    assert json.loads(operator.gets("staging", "release", "--job", JOB, "--json")) == {"datasets": [PID]}
    assert pinned(api) == {}


def test_an_owner_gives_back(operator: Operator, api: ApiRig) -> None:
    api.staged_dataset()
    api.ledger.pins.pin(PID, "x", START + DAY)
    operator.gets("staging", "release", "--owner", "x")
    assert pinned(api) == {}


def test_a_dataset_is_evicted(operator: Operator, api: ApiRig) -> None:
    api.staged_dataset()
    assert operator.gets("staging", "evict", PID) == "10 kB freed\n"
    assert api.staging.staged_keys() == set()


def test_space_is_made_as_far_as_may_be(operator: Operator, api: ApiRig) -> None:
    api.staged_dataset()
    api.clock.advance(DAY)
    printed = operator.gets("staging", "evict", "--bytes", "10GB")
    assert printed == "10 kB freed; the rest is pinned or in use\n"
    assert sent(operator) == {"dataset": None, "bytes": 10**10}
    assert json.loads(operator.gets("staging", "evict", "--bytes", "1", "--json")) == {"freed": 0}


def test_who_pins_a_dataset_that_is_to_be_evicted_is_said(operator: Operator, api: ApiRig) -> None:
    api.retrieved(PID)
    assert operator.fails("staging", "evict", PID, code=1) == f"retriever: dataset {PID} is pinned by {JOB}"


PIN = ("staging", "pin")
WRONG = {
    "nothing to pin": ((*PIN, "--for", "7d"), "either DATASET and --owner, or --job"),
    "no owner": ((*PIN, PID, "--for", "7d"), "either DATASET and --owner, or --job"),
    "no dataset": ((*PIN, "--owner", "x", "--for", "7d"), "either DATASET and --owner, or --job"),
    "job and owner": (
        (*PIN, "--job", JOB, "--owner", "x", "--for", "7d"),
        "either DATASET and --owner, or --job",
    ),
    "job and dataset": ((*PIN, PID, "--job", JOB, "--for", "7d"), "either DATASET and --owner, or --job"),
    "no time": ((*PIN, "--job", JOB), "either --for or --until"),
    "two times": ((*PIN, "--job", JOB, "--for", "7d", "--until", "2026-12-24"), "either --for or --until"),
    "bad span": ((*PIN, "--job", JOB, "--for", "a week"), "--for: 'a week' is not a time"),
    "bad time": ((*PIN, "--job", JOB, "--until", "soon"), "--until: 'soon' is no time"),
    "nothing to release": (("staging", "release"), "either --owner or --job"),
    "two to release": (("staging", "release", "--owner", "x", "--job", JOB), "either --owner or --job"),
    "nothing to evict": (("staging", "evict"), "either DATASET or --bytes"),
    "two to evict": (("staging", "evict", PID, "--bytes", "5"), "either DATASET or --bytes"),
    "bad size": (("staging", "evict", "--bytes", "much"), "--bytes: 'much' is not bytes"),
    "bad limit": (("staging", "ls", "--limit", "0"), "--limit"),
}


@pytest.mark.parametrize(("words", "why"), WRONG.values(), ids=WRONG)
def test_what_cannot_be_understood_is_said_and_not_sent(
    operator: Operator, words: tuple[str, ...], why: str
) -> None:
    assert why in operator.fails(*words, code=2)
    assert operator.requests == []


def test_a_no_of_the_api_is_said_with_its_reason(operator: Operator) -> None:
    said = operator.fails("staging", "release", "--owner", "nobody", code=1)
    assert said == "retriever: nobody pins nothing in staging"


def test_a_check_is_waited_for(operator: Operator, api: ApiRig) -> None:
    api.ledger.findings.note("staging", {"staged": 1, "advice": "an old one"})

    def on_the_third_look() -> None:
        if operator.pauses == 3:
            api.clock.advance(DAY)
            api.ledger.findings.note("staging", {"staged": 5, "missing": 0, "wrong_size": 0, "advice": ""})

    operator.during_pause = on_the_third_look
    printed = operator.gets("staging", "check")
    assert printed == "2026-03-02 12:00 UTC: staged 5, missing 0, wrong size 0\n"
    assert (api.checks, operator.pauses) == (1, 3)


@pytest.mark.parametrize(
    "found", [{"advice": "see that it is mounted"}, {"error": "staging_write_failed", "message": "no disk"}]
)
def test_a_check_that_leaves_something_to_do_ends_with_1(
    operator: Operator, api: ApiRig, found: dict[str, int | str]
) -> None:
    operator.during_pause = lambda: api.ledger.findings.note("staging", found)
    result = operator.types("staging", "check", "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["found"] == found


def test_a_check_need_not_be_waited_for(operator: Operator, api: ApiRig) -> None:
    assert "staging usage" in operator.gets("staging", "check", "--no-wait")
    assert (api.checks, operator.pauses) == (1, 0)


def test_a_check_that_cannot_be_asked_for_is_said(operator: Operator, api: ApiRig) -> None:
    api.engine_away = True
    assert "does not answer" in operator.fails("staging", "check", code=1)
    assert operator.pauses == 0
