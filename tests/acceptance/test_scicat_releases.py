"""A whole retrieval on the releases of SciCat that the other tests do not run on: one service meets them in turn."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from starlette.types import Receive, Scope, Send

from stand_ins.retrieval_page import datablocks
from stand_ins.running import RunningService, ServiceFolder
from stand_ins.scicat import NEWEST_TAGGED, RELEASES, ScicatStandIn
from stand_ins.scicat.server import serve_in_thread
from tests.acceptance.facility import QUICK, Facility, download, some_datablocks

OTHERS = [name for name in RELEASES if name != NEWEST_TAGGED.name]


class Upgraded:
    """A SciCat that is replaced by one of another release, which has other datasets, jobs and logins, at the same address."""

    def __init__(self) -> None:
        self.now = ScicatStandIn()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.now(scope, receive, send)


@pytest.fixture(scope="module")
def standing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Upgraded, Facility]]:
    root, upgraded = tmp_path_factory.mktemp("releases"), Upgraded()
    with serve_in_thread(upgraded) as url:
        folder = ServiceFolder(root, url, settings=QUICK)
        with RunningService(folder) as service:
            yield upgraded, Facility(upgraded.now, url, folder, service)


@pytest.fixture
def on_release(standing: tuple[Upgraded, Facility], request: pytest.FixtureRequest) -> Facility:
    """The facility, its SciCat of the release that is asked for; the service has met others before."""
    upgraded, facility = standing
    upgraded.now = ScicatStandIn(release=RELEASES[request.param])
    made = replace(facility, scicat=upgraded.now)
    made.put_right()
    return made


@pytest.mark.parametrize("on_release", OTHERS, indirect=True)
def test_a_retrieval_is_told_and_delivered_though_a_login_runs_out(on_release: Facility) -> None:
    facility = on_release
    good, bad = facility.new_pid(), facility.new_pid()
    archives = facility.archive(good, some_datablocks(good, 2))
    (damaged,) = facility.archive(bad, some_datablocks(bad, 1))
    (facility.folder.lts / damaged).write_bytes(b"no tar at all" * 1000)
    first = facility.wait_for(facility.ask_for(good))
    facility.scicat.expire_tokens()
    second = facility.wait_for(facility.ask_for(good, bad))
    for job in (first, second):
        links = {entry["archiveId"]: entry["url"] for entry in datablocks(job)}
        fetched = {name: download(url) for name, url in links.items()}
        assert fetched == {name: (facility.folder.lts / name).read_bytes() for name in archives}
    assert first["statusCode"] == "finishedSuccessful"
    assert second["statusCode"] == "finishedWithDatasetErrors"
    assert {error["datasetId"] for error in second["jobResultObject"]["errors"]} == {bad}
    assert facility.lifecycle(good)["retrieveStatusMessage"] == "datasetRetrieved"
    assert facility.lifecycle(bad)["retrieveStatusMessage"] == "datasetRetrievalFailed"


@pytest.mark.parametrize("on_release", ["master"], indirect=True)
def test_a_dataset_is_retrieved_where_the_list_shows_the_account_no_datablocks(on_release: Facility) -> None:
    pid = on_release.new_pid()
    on_release.archive(pid, some_datablocks(pid, 3))
    job = on_release.wait_for(on_release.ask_for(pid))
    assert job["statusCode"] == "finishedSuccessful"
    assert len(datablocks(job)) == 3
