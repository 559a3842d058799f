"""What SciCat's own habits ask of its client, shown against the stand-in SciCat."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from scicat_retriever.domain.errors import (
    CatalogueForbidden,
    CatalogueRefused,
    CatalogueTimedOut,
    CatalogueUnavailable,
    DatablocksInvisible,
)
from scicat_retriever.domain.states import JobState
from scicat_retriever.ports.catalogue import JobUpdate, Visibility
from stand_ins import local_http
from stand_ins.scicat import (
    PROFILES,
    RELEASES,
    JobType,
    Release,
    ScicatStandIn,
    UrlAction,
    log_in,
)
from tests.contracts.catalogue_rigs import PID, RECORDED, RESULT, RETRIEVED, ScicatRig


@pytest.fixture(params=RECORDED)
def release(request: pytest.FixtureRequest) -> Release:
    """Each release in turn."""
    return RELEASES[request.param]


@pytest.fixture
def scicat(release: Release) -> Iterator[ScicatRig]:
    """A SciCat whose service account may read all jobs."""
    stand_in = ScicatStandIn(release=release, groups=PROFILES["job_privileged"])
    with stand_in.serve() as url:
        yield ScicatRig(stand_in, url)


def test_updates_ask_little_of_scicat(scicat: ScicatRig) -> None:
    scicat.add_dataset(PID)
    job_id = scicat.submit(PID)
    scicat.catalogue.update_job(job_id, JobUpdate(JobState.IN_PROGRESS, "m"))
    scicat.catalogue.update_lifecycle(PID, RETRIEVED)
    dataset = f"/api/v4/datasets/{PID}"
    assert scicat.asked() == [
        "POST /api/v3/auth/login",
        f"PATCH /api/v4/jobs/{job_id}",
        f"GET {dataset}",
        f"PATCH {dataset}/datasetlifecycle",
        f"GET {dataset}",
    ]
    assert scicat.stand_in.dataset(PID)["updatedBy"] == "archiveManager"


@pytest.mark.parametrize("lost", ["run out", "signed with an older key"])
def test_tokens_that_expire_between_any_two_requests_are_renewed(scicat: ScicatRig, lost: str) -> None:
    scicat.add_dataset(PID, blocks=3)
    job_id = scicat.submit(PID)
    stand_in = scicat.stand_in
    expire = stand_in.expire_tokens if lost == "run out" else stand_in.change_token_key
    expire()
    assert scicat.catalogue.job(job_id).id == job_id
    expire()
    assert [one.id for one in scicat.catalogue.open_jobs(["retrieve"])] == [job_id]
    expire()
    assert len(list(scicat.catalogue.datablocks(PID))) == 3
    expire()
    scicat.catalogue.update_job(job_id, JobUpdate(JobState.IN_PROGRESS, "m"))
    expire()
    scicat.catalogue.update_lifecycle(PID, RETRIEVED)
    assert scicat.told_of_job(job_id)[0] == "inProgress"
    assert scicat.told_of_dataset(PID)["retrieveStatusMessage"] == "datasetRetrieved"


def test_a_long_lived_token_serves_without_a_login(scicat: ScicatRig) -> None:
    with scicat.stand_in.serve() as url:
        with_token = ScicatRig(scicat.stand_in, url, token=scicat.stand_in.issue_token("archiveManager"))
        with_token.add_dataset(PID)
        with_token.catalogue.update_lifecycle(PID, RETRIEVED)
    assert scicat.told_of_dataset(PID)["retrieveStatusMessage"] == "datasetRetrieved"
    assert not scicat.stand_in.log.requests(path_contains="auth/login")


@pytest.mark.parametrize("lost", ["answered with 500", "dropped"])
def test_an_update_stored_in_spite_of_an_error_is_taken(scicat: ScicatRig, lost: str) -> None:
    scicat.add_dataset(PID)
    job_id = scicat.submit(PID)
    for _ in range(2):
        faults = scicat.stand_in.faults
        if lost == "dropped":
            faults.drop(method="PATCH", when="after")
        else:
            faults.fail(500, method="PATCH", when="after")
    scicat.catalogue.update_job(job_id, JobUpdate(JobState.SUCCESSFUL, "m", RESULT))
    scicat.catalogue.update_lifecycle(PID, RETRIEVED)
    assert len(scicat.stand_in.log.requests(method="PATCH")) == 2


def test_a_scicat_that_takes_too_long_is_said_apart_from_one_that_is_away(scicat: ScicatRig) -> None:
    scicat.add_dataset(PID)
    with scicat.stand_in.serve() as url:
        token = scicat.stand_in.issue_token("archiveManager")
        hurried = ScicatRig(scicat.stand_in, url, token=token, request_timeout=3)
        hurried.catalogue.dataset(PID)
        scicat.stand_in.faults.delay(20, path_contains="/datasets/", times=1)
        with pytest.raises(CatalogueTimedOut, match="in time"):
            hurried.catalogue.dataset(PID)


def test_a_scicat_that_is_away_is_said_and_may_be_asked_again(scicat: ScicatRig) -> None:
    scicat.add_dataset(PID)
    scicat.stand_in.faults.fail(503, times=None)
    with pytest.raises(CatalogueUnavailable):
        scicat.catalogue.update_lifecycle(PID, RETRIEVED)
    scicat.stand_in.faults.clear()
    scicat.catalogue.update_lifecycle(PID, RETRIEVED)
    assert scicat.told_of_dataset(PID)["retrieveStatusMessage"] == "datasetRetrieved"


def test_a_failing_update_action_does_not_hide_that_the_state_was_stored(scicat: ScicatRig) -> None:
    scicat.add_dataset(PID)
    job_id = scicat.submit(PID)
    scicat.stand_in.set_job_type(JobType(update_action=UrlAction("http://127.0.0.1:9/closed")))
    scicat.catalogue.update_job(job_id, JobUpdate(JobState.SUCCESSFUL, "m"))
    assert scicat.told_of_job(job_id)[0] == "finishedSuccessful"


@pytest.mark.parametrize("profile", sorted(PROFILES))
def test_datablocks_are_given_after_one_login_wherever_the_dataset_can_be_read(
    profile: str, release: Release
) -> None:
    stand_in = ScicatStandIn(release=release, groups=PROFILES[profile])
    with stand_in.serve() as url:
        rig = ScicatRig(stand_in, url)
        rig.add_dataset(PID, blocks=150)
        if profile == "no_lifecycle_groups":
            with pytest.raises(CatalogueForbidden):
                list(rig.catalogue.datablocks(PID))
        else:
            assert len(list(rig.catalogue.datablocks(PID))) == 150
            assert len(stand_in.log.requests(path_contains="auth/login")) == 1


def test_datablocks_of_groups_that_the_account_is_not_in_are_not_taken_for_missing(release: Release) -> None:
    stand_in = ScicatStandIn(release=release, groups=PROFILES["no_delete_groups"])
    with stand_in.serve() as url:
        rig = ScicatRig(stand_in, url)
        rig.add_dataset(PID, blocks=5)
        first, *_ = stand_in.store.datablocks.of(PID)
        first["accessGroups"] = ["archivemanager"]
        assert len(list(rig.catalogue.datablocks(PID))) == 5
        # Its sums are reset: nothing but one route says now that there are more than the list shows.
        stand_in.store.datasets[PID] |= {"numberOfFilesArchived": 0, "packedSize": 0}
        if release.include_for_lifecycle_groups:
            # There another route shows them all as well.
            assert len(list(rig.catalogue.datablocks(PID))) == 5
            return
        with pytest.raises(DatablocksInvisible, match=r"5 by include of v3, 1 by the list.*DELETE_GROUPS"):
            list(rig.catalogue.datablocks(PID))


def test_what_was_removed_without_the_sums_is_not_missed_where_the_account_sees_all(release: Release) -> None:
    stand_in = ScicatStandIn(release=release)
    with stand_in.serve() as url:
        rig = ScicatRig(stand_in, url)
        rig.add_dataset(PID, blocks=2)
        stand_in.store.datasets[PID]["numberOfFilesArchived"] = 99
        assert len(list(rig.catalogue.datablocks(PID))) == 2


def test_an_account_that_may_not_read_jobs_still_updates_them(release: Release) -> None:
    stand_in = ScicatStandIn(release=release, groups=PROFILES["lab_default"])
    with stand_in.serve() as url:
        rig = ScicatRig(stand_in, url)
        rig.add_dataset(PID)
        job_id = rig.submit(PID)
        with pytest.raises(CatalogueForbidden):
            rig.catalogue.job(job_id)
        rig.catalogue.update_job(job_id, JobUpdate(JobState.IN_PROGRESS, "m"))
        assert rig.told_of_job(job_id)[0] == "inProgress"
        stand_in.set_job_type(JobType(update_action=UrlAction("http://127.0.0.1:9/closed")))
        with pytest.raises(CatalogueRefused, match="action"):
            rig.catalogue.update_job(job_id, JobUpdate(JobState.SUCCESSFUL, "m"))


def test_an_older_backend_is_told_without_losing_the_rest_of_the_lifecycle(release: Release) -> None:
    stand_in = ScicatStandIn(release=release, groups=PROFILES["archive_manager_is_admin"])
    stand_in.offer_lifecycle_route(offered=False)
    with stand_in.serve() as url:
        rig = ScicatRig(stand_in, url)
        stand_in.add_dataset(
            PID, lifecycle={"storageLocation": "tape1", "retrieveReturnMessage": {"error": "old"}}
        )
        rig.catalogue.update_lifecycle(PID, RETRIEVED)
        told = rig.told_of_dataset(PID)
    assert told["retrieveStatusMessage"] == "datasetRetrieved"
    assert (told["storageLocation"], told["archiveStatusMessage"]) == ("tape1", "datasetOnArchiveDisk")
    assert not told.get("retrieveReturnMessage")


def test_an_older_backend_has_its_jobs_listed_read_and_updated(release: Release) -> None:
    stand_in = ScicatStandIn(release=release, groups=PROFILES["job_privileged"])
    with stand_in.serve() as url:
        rig = ScicatRig(stand_in, url)
        rig.add_dataset(PID)
        first, second = rig.submit(PID), rig.submit(PID)
        stand_in.offer_jobs_in_v4(offered=False)
        rig.catalogue.update_job(first, JobUpdate(JobState.IN_PROGRESS, "m"))
        listed = [(one.id, one.status) for one in rig.catalogue.open_jobs(["retrieve"])]
        assert listed == [(first, "inProgress"), (second, "jobSubmitted")]
        assert [one.pid for one in rig.catalogue.job(first).datasets] == [PID]
        assert rig.catalogue.visibility(first) is Visibility.VISIBLE


def test_the_list_of_open_jobs_is_small_however_large_the_jobs(release: Release) -> None:
    stand_in = ScicatStandIn(release=release, groups=PROFILES["job_privileged"])
    with stand_in.serve() as url:
        rig = ScicatRig(stand_in, url)
        rig.add_dataset(PID)
        job_id = rig.submit(PID)
        rig.catalogue.update_job(job_id, JobUpdate(JobState.IN_PROGRESS, "m", {"result": ["x" * 1_000_000]}))
        assert [one.id for one in rig.catalogue.open_jobs(["retrieve"])] == [job_id]
        asked = stand_in.log.requests(method="GET", path_contains="/jobs")[-1].target
        answer = local_http.get(f"{url}{asked}", headers={"Authorization": f"Bearer {log_in(url, 'admin')}"})
    assert [one["id"] for one in answer.json()] == [job_id]
    assert len(answer.content) < 500


def test_a_job_that_cannot_be_worked_with_does_not_hide_the_others(scicat: ScicatRig) -> None:
    scicat.add_dataset(PID)
    broken, good = scicat.submit(PID), scicat.submit(PID)
    scicat.stand_in.store.jobs[broken]["id"] = "line\nbreak"
    first, second = scicat.catalogue.open_jobs(["retrieve"])
    assert (first.id, first.job, second.id) == ("line break", None, good)
    assert first.fault is not None


def test_a_job_of_the_account_itself_does_not_prove_that_others_are_visible(release: Release) -> None:
    stand_in = ScicatStandIn(release=release, groups=PROFILES["lab_default"])
    with stand_in.serve() as url:
        rig = ScicatRig(stand_in, url)
        rig.add_dataset(PID)
        owned, shared = rig.submit(PID), rig.submit(PID)
        stand_in.store.jobs[owned]["ownerUser"] = "archiveManager"
        stand_in.store.jobs[shared]["ownerGroup"] = "archivemanager"
        assert [one.id for one in rig.catalogue.open_jobs(["retrieve"])] == [owned, shared]
        assert {rig.catalogue.visibility(one) for one in (owned, shared)} == {Visibility.UNKNOWN}
