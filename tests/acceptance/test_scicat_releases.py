"""A whole retrieval on the releases of SciCat that the other tests do not run on."""

from __future__ import annotations

from pathlib import Path

import pytest

from stand_ins.running import RunningService
from stand_ins.scicat import NEWEST_TAGGED, RELEASES
from tests.acceptance.facility import QUICK, Facility, download, some_datablocks

OTHERS = [name for name in RELEASES if name != NEWEST_TAGGED.name]


@pytest.mark.parametrize("release", OTHERS)
def test_a_retrieval_is_told_and_delivered_though_a_login_runs_out(release: str, tmp_path: Path) -> None:
    with (
        Facility.open(tmp_path / "facility", QUICK, release=RELEASES[release]) as facility,
        RunningService(facility.folder) as service,
    ):
        facility.service = service
        good, bad = facility.new_pid(), facility.new_pid()
        archives = facility.archive(good, some_datablocks(good, 2))
        (damaged,) = facility.archive(bad, some_datablocks(bad, 1))
        (facility.folder.lts / damaged).write_bytes(b"no tar at all" * 1000)
        first = facility.wait_for(facility.ask_for(good))
        facility.scicat.expire_tokens()
        second = facility.wait_for(facility.ask_for(good, bad))
        for job in (first, second):
            links = {entry["archiveId"]: entry["url"] for entry in job["jobResultObject"]["result"]}
            fetched = {name: download(url) for name, url in links.items()}
            assert fetched == {name: (facility.folder.lts / name).read_bytes() for name in archives}
    assert first["statusCode"] == "finishedSuccessful"
    assert second["statusCode"] == "finishedWithDatasetErrors"
    assert {error["datasetId"] for error in second["jobResultObject"]["errors"]} == {bad}
    assert facility.lifecycle(good)["retrieveStatusMessage"] == "datasetRetrieved"
    assert facility.lifecycle(bad)["retrieveStatusMessage"] == "datasetRetrievalFailed"
