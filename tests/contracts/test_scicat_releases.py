"""What the client makes of each release of SciCat, shown against the stand-in that answers as it was recorded to."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import httpx2
import pytest

from scicat_retriever.catalogue.scicat import Scicat
from scicat_retriever.catalogue.settings import ScicatSettings
from scicat_retriever.domain.errors import CatalogueForbidden, DatablocksInvisible
from scicat_retriever.domain.states import JobState
from scicat_retriever.ports.catalogue import JobUpdate
from stand_ins.scicat import PROFILES, RELEASES, ScicatStandIn
from tests.contracts.catalogue_rigs import OTHER, PID, RESULT, RETRIEVED, ScicatRig

GROUP = frozenset({"archivemanager"})
SUMS = ("size", "packedSize", "numberOfFiles", "numberOfFilesArchived")
RESET = {"numberOfFilesArchived": 0, "packedSize": 0}


@pytest.fixture(params=sorted(RELEASES))
def release(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def scicat(release: str) -> Iterator[ScicatRig]:
    """A SciCat whose service account has the rights that the guide names."""
    stand_in = ScicatStandIn(release=RELEASES[release], groups=PROFILES["job_privileged"])
    with stand_in.serve() as url:
        yield ScicatRig(stand_in, url)


@pytest.fixture
def group_member(release: str) -> Iterator[ScicatRig]:
    """A SciCat that shows its service account, by the list, what is in the account's own groups alone."""
    stand_in = ScicatStandIn(release=RELEASES[release], groups=PROFILES["no_delete_groups"])
    with stand_in.serve() as url:
        yield ScicatRig(stand_in, url)


def logins(rig: ScicatRig) -> int:
    return len(rig.stand_in.log.requests(path_contains="auth/login"))


def show_first_alone(rig: ScicatRig) -> None:
    """Let the account be in the access groups of one datablock, and of no other."""
    first, *_ = rig.stand_in.store.datablocks.of(PID)
    first["accessGroups"] = ["archivemanager"]


def test_all_of_many_datablocks_are_given_after_one_login(scicat: ScicatRig) -> None:
    for pid in (PID, OTHER):
        scicat.add_dataset(pid, blocks=130)
        assert len(list(scicat.catalogue.datablocks(pid))) == 130
    assert logins(scicat) == 1


def test_datablocks_whose_groups_hide_them_are_found_by_another_route(group_member: ScicatRig) -> None:
    group_member.add_dataset(PID, blocks=5)
    show_first_alone(group_member)
    assert len(list(group_member.catalogue.datablocks(PID))) == 5
    assert logins(group_member) == 1


def test_a_part_of_the_datablocks_is_not_taken_for_all_where_the_sums_were_reset(
    release: str, group_member: ScicatRig
) -> None:
    group_member.add_dataset(PID, blocks=5)
    show_first_alone(group_member)
    group_member.stand_in.store.datasets[PID] |= RESET
    if RELEASES[release].include_for_lifecycle_groups:
        # v4 and v3 both include all of them: two words.
        assert len(list(group_member.catalogue.datablocks(PID))) == 5
        return
    with pytest.raises(DatablocksInvisible, match=r"archiveManager.*1 by the list.*DELETE_GROUPS"):
        list(group_member.catalogue.datablocks(PID))


def test_sums_that_drifted_do_not_hide_what_the_account_sees(scicat: ScicatRig) -> None:
    scicat.add_dataset(PID, blocks=2)
    for files in (99, 1, 0):
        scicat.stand_in.store.datasets[PID] |= {"numberOfFilesArchived": files}
        assert len(list(scicat.catalogue.datablocks(PID))) == 2


def test_tokens_that_expire_between_any_two_requests_are_renewed(scicat: ScicatRig) -> None:
    scicat.add_dataset(PID, blocks=3)
    job_id = scicat.submit(PID)
    expire = scicat.stand_in.expire_tokens
    expire()
    assert scicat.catalogue.job(job_id).id == job_id
    expire()
    assert [one.id for one in scicat.catalogue.open_jobs(["retrieve"])] == [job_id]
    expire()
    assert len(list(scicat.catalogue.datablocks(PID))) == 3
    expire()
    scicat.catalogue.update_job(job_id, JobUpdate(JobState.SUCCESSFUL, "m", RESULT))
    expire()
    scicat.catalogue.update_lifecycle(PID, RETRIEVED)
    assert scicat.told_of_job(job_id) == ("finishedSuccessful", "m", RESULT)
    assert scicat.told_of_dataset(PID)["retrieveStatusMessage"] == "datasetRetrieved"


def test_a_state_may_be_told_again(scicat: ScicatRig) -> None:
    scicat.add_dataset(PID)
    job_id = scicat.submit(PID)
    for _ in range(2):
        scicat.catalogue.update_lifecycle(PID, RETRIEVED)
        scicat.catalogue.update_job(job_id, JobUpdate(JobState.SUCCESSFUL, "m", RESULT))
    assert scicat.told_of_dataset(PID)["retrieveStatusMessage"] == "datasetRetrieved"


class WithoutLifecycleRoute(httpx2.BaseTransport):
    """The network, to a backend that does not have the lifecycle's own route, nor, perhaps, v3 of datasets."""

    def __init__(self, *, v3: bool) -> None:
        self._network = httpx2.HTTPTransport()
        self._v3 = v3

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        path = request.url.path
        missing = path.endswith("/datasetlifecycle") or ("/api/v3/datasets/" in path and not self._v3)
        if not missing:
            return self._network.handle_request(request)
        message = f"Cannot {request.method} {path}"
        return httpx2.Response(404, json={"message": message, "error": "Not Found", "statusCode": 404})

    def close(self) -> None:
        self._network.close()


@pytest.mark.parametrize("v3", [True, False])
def test_a_dataset_keeps_its_sums_where_the_lifecycle_has_no_route_of_its_own(
    release: str, *, v3: bool
) -> None:
    stand_in = ScicatStandIn(release=RELEASES[release], groups=PROFILES["archive_manager_is_admin"])
    with stand_in.serve() as url:
        ScicatRig(stand_in, url).add_dataset(PID, blocks=3)
        dataset = stand_in.store.datasets[PID]
        dataset |= {"size": 900, "numberOfFiles": 6}
        dataset["datasetlifecycle"] |= {
            "storageLocation": "tape1",
            "archiveStatusMessage": "datasetOnArchiveDisk",
        }
        before = {key: dataset[key] for key in SUMS}
        account = {"username": "archiveManager", "password": "archivemanager-pw"}
        settings = ScicatSettings.model_validate({"url": url, **account})
        with Scicat(settings, transport=WithoutLifecycleRoute(v3=v3)) as client:
            client.update_lifecycle(PID, replace(RETRIEVED, return_message={"status": "x", "message": "y"}))
            client.update_lifecycle(PID, RETRIEVED)
        after = stand_in.store.datasets[PID]
    assert {key: after[key] for key in SUMS} == before
    lifecycle = after["datasetlifecycle"]
    kept = (lifecycle["storageLocation"], lifecycle["archiveStatusMessage"], lifecycle["retrievable"])
    assert kept == ("tape1", "datasetOnArchiveDisk", True)
    assert lifecycle["retrieveStatusMessage"] == "datasetRetrieved"
    assert not lifecycle.get("retrieveReturnMessage")


def test_who_may_not_update_jobs_is_told_which_setting_gives_or_takes_the_right(release: str) -> None:
    both = replace(PROFILES["job_privileged"], create_job=GROUP)
    stand_in = ScicatStandIn(release=RELEASES[release], groups=both)
    with stand_in.serve() as url:
        rig = ScicatRig(stand_in, url)
        rig.add_dataset(PID)
        job_id = rig.submit(PID)
        if not RELEASES[release].job_creation_excludes_update:
            rig.catalogue.update_job(job_id, JobUpdate(JobState.IN_PROGRESS, "m"))
            return
        with pytest.raises(CatalogueForbidden, match="no group of it may be in CREATE_JOB_PRIVILEGED_GROUPS"):
            rig.catalogue.update_job(job_id, JobUpdate(JobState.IN_PROGRESS, "m"))
