"""What every catalogue promises, run on SciCat's client (against the stand-in, as each release) and on the fake."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from scicat_retriever.domain.dataset import OriginalFile, RetrieveJob, Selection
from scicat_retriever.domain.errors import (
    CatalogueJobUnclosable,
    CatalogueJobUnknown,
    DatablocksMissing,
    DatasetUnknown,
)
from scicat_retriever.domain.ids import DatasetPid, JobId
from scicat_retriever.domain.states import JobState, LifecycleWord
from scicat_retriever.ports.catalogue import JobUpdate, LifecycleUpdate, Visibility
from stand_ins.scicat import PROFILES, RELEASES, ScicatStandIn
from tests.contracts.catalogue_rigs import (
    NONE,
    OTHER,
    PID,
    RECORDED,
    RESULT,
    RETRIEVED,
    FakeRig,
    Rig,
    ScicatRig,
    block,
)

NO_JOB = JobId("00000000-0000-0000-0000-000000000000")
FAILED = LifecycleUpdate(
    LifecycleWord.FAILED, {"status": "retrievalFailed", "message": "why"}, retrievable=False
)


@pytest.fixture(params=["fake", *RECORDED])
def rig(request: pytest.FixtureRequest) -> Iterator[Rig]:
    if request.param == "fake":
        yield FakeRig()
        return
    # The service's account may read all jobs.
    stand_in = ScicatStandIn(release=RELEASES[request.param], groups=PROFILES["job_privileged"])
    with stand_in.serve() as url:
        yield ScicatRig(stand_in, url)


@pytest.fixture(params=["fake", *RECORDED])
def rig_without_the_right(request: pytest.FixtureRequest) -> Iterator[Rig]:
    """A catalogue that lists nobody else's jobs to the service's account."""
    if request.param == "fake":
        fake = FakeRig()
        fake.catalogue.hide_jobs()
        yield fake
        return
    stand_in = ScicatStandIn(release=RELEASES[request.param], groups=PROFILES["lab_default"])
    with stand_in.serve() as url:
        yield ScicatRig(stand_in, url)


def test_a_job_is_read_with_its_dataset_list(rig: Rig) -> None:
    rig.add_dataset(PID)
    rig.add_dataset(OTHER)
    job_id = rig.submit(PID, OTHER)
    expected = RetrieveJob(job_id, "retrieve", (Selection(PID), Selection(OTHER)), "scientist", "group1")
    assert rig.catalogue.job(job_id) == expected


def test_an_unknown_job_is_said(rig: Rig) -> None:
    with pytest.raises(CatalogueJobUnknown):
        rig.catalogue.job(NO_JOB)
    with pytest.raises(CatalogueJobUnknown):
        rig.catalogue.update_job(NO_JOB, JobUpdate(JobState.IN_PROGRESS, "m"))


def test_all_open_jobs_are_listed_in_the_short_form_oldest_first(rig: Rig) -> None:
    rig.add_dataset(PID)
    submitted = [rig.submit(PID) for _ in range(120)]
    shorts = [RetrieveJob(job_id, "retrieve", (), "scientist", "group1") for job_id in submitted]
    listed = list(rig.catalogue.open_jobs({"retrieve"}))
    assert [one.job for one in listed] == shorts
    assert {(one.status, one.updated_by, one.fault) for one in listed} == {
        ("jobSubmitted", "scientist", None)
    }


def test_a_job_in_progress_is_listed_with_the_account_that_updated_it(rig: Rig) -> None:
    rig.add_dataset(PID)
    rig.catalogue.update_job(job_id := rig.submit(PID), JobUpdate(JobState.IN_PROGRESS, "m"))
    (listed,) = rig.catalogue.open_jobs({"retrieve"})
    assert (listed.id, listed.status) == (job_id, "inProgress")
    assert listed.updated_by == rig.catalogue.account()
    assert listed.updated_by is not None


@pytest.mark.parametrize(
    "state", [JobState.SUCCESSFUL, JobState.WITH_DATASET_ERRORS, JobState.UNSUCCESSFUL], ids=str
)
def test_a_job_that_has_ended_is_not_listed(rig: Rig, state: JobState) -> None:
    rig.add_dataset(PID)
    ended, still_open = rig.submit(PID), rig.submit(PID)
    rig.catalogue.update_job(ended, JobUpdate(state, "m"))
    assert [one.id for one in rig.catalogue.open_jobs({"retrieve"})] == [still_open]


def test_only_jobs_of_the_wanted_types_are_listed(rig: Rig) -> None:
    rig.add_dataset(PID)
    job_id = rig.submit(PID)
    assert list(rig.catalogue.open_jobs({"archive"})) == []
    assert [one.id for one in rig.catalogue.open_jobs(["archive", "retrieve"])] == [job_id]


def test_with_the_right_another_ones_job_proves_that_jobs_are_visible(rig: Rig) -> None:
    rig.add_dataset(PID)
    job_id = rig.submit(PID)
    rig.catalogue.update_job(job_id, JobUpdate(JobState.SUCCESSFUL, "m"))
    assert list(rig.catalogue.open_jobs({"retrieve"})) == []
    assert rig.catalogue.visibility(job_id) is Visibility.VISIBLE


def test_without_the_right_nothing_is_listed_and_another_ones_job_proves_it(
    rig_without_the_right: Rig,
) -> None:
    rig = rig_without_the_right
    rig.add_dataset(PID)
    job_id = rig.submit(PID)
    assert list(rig.catalogue.open_jobs({"retrieve"})) == []
    assert rig.catalogue.visibility(job_id) is Visibility.HIDDEN


def test_without_a_job_that_still_exists_visibility_is_not_known(rig: Rig) -> None:
    rig.add_dataset(PID)
    rig.delete_job(gone := rig.submit(PID))
    assert rig.catalogue.visibility(gone) is Visibility.UNKNOWN
    assert rig.catalogue.visibility(None) is Visibility.UNKNOWN


def test_a_dataset_declares_what_its_datablocks_hold(rig: Rig) -> None:
    rig.add_dataset(OTHER, blocks=3)
    dataset = rig.catalogue.dataset(OTHER)
    declared = (dataset.pid, dataset.name, dataset.files_archived, dataset.packed_size, dataset.owner_group)
    assert declared == (OTHER, OTHER, 6, 750, "group1")


def test_an_unknown_dataset_is_said(rig: Rig) -> None:
    with pytest.raises(DatasetUnknown):
        rig.catalogue.dataset(NONE)
    with pytest.raises(DatasetUnknown):
        list(rig.catalogue.datablocks(NONE))
    with pytest.raises(DatasetUnknown):
        rig.catalogue.update_lifecycle(NONE, RETRIEVED)


def test_all_of_many_datablocks_are_given(rig: Rig) -> None:
    rig.add_dataset(PID, blocks=250)
    rig.add_dataset(OTHER, blocks=2)
    given = [one.datablock.archive_id for one in rig.catalogue.datablocks(PID)]
    assert sorted(given) == sorted(block(number).datablock.archive_id for number in range(250))


def test_original_files_are_given_as_scicat_lists_them(rig: Rig) -> None:
    rig.add_dataset(PID)
    files = [
        OriginalFile("/data/a/one.dat", 100, "ab" * 16, "md5"),
        OriginalFile("./a/ä two.dat", 200, None, "md5"),
    ]
    rig.list_originals(PID, files)
    assert list(rig.catalogue.original_files(PID)) == files


def test_a_datablock_comes_with_its_files(rig: Rig) -> None:
    rig.add_dataset(PID)
    given, expected = next(iter(rig.catalogue.datablocks(PID))), block(0)
    assert given.files == expected.files
    shown = (
        given.datablock.pid,
        given.datablock.packed_size,
        given.datablock.algorithm,
        given.datablock.file_count,
    )
    assert shown == (PID, 250, "sha256", 2)


def test_no_datablocks_at_all_are_missing(rig: Rig) -> None:
    rig.add_dataset(PID, blocks=0)
    with pytest.raises(DatablocksMissing):
        list(rig.catalogue.datablocks(PID))


def test_a_job_is_told_a_state_and_a_result(rig: Rig) -> None:
    rig.add_dataset(PID)
    job_id = rig.submit(PID)
    rig.catalogue.update_job(job_id, JobUpdate(JobState.SUCCESSFUL, 'a "b" & ü', RESULT))
    assert rig.told_of_job(job_id) == ("finishedSuccessful", 'a "b" & ü', RESULT)


def test_an_update_of_a_job_may_be_repeated(rig: Rig) -> None:
    rig.add_dataset(PID)
    job_id = rig.submit(PID)
    for _ in range(2):
        rig.catalogue.update_job(job_id, JobUpdate(JobState.SUCCESSFUL, "m", RESULT))
    assert rig.told_of_job(job_id) == ("finishedSuccessful", "m", RESULT)


def test_a_result_is_replaced_by_another_and_kept_by_none(rig: Rig) -> None:
    rig.add_dataset(PID)
    job_id = rig.submit(PID)
    rig.catalogue.update_job(job_id, JobUpdate(JobState.IN_PROGRESS, "m", {"old": 1}))
    rig.catalogue.update_job(job_id, JobUpdate(JobState.IN_PROGRESS, "m", RESULT))
    rig.catalogue.update_job(job_id, JobUpdate(JobState.SUCCESSFUL, "m"))
    assert rig.told_of_job(job_id) == ("finishedSuccessful", "m", RESULT)


def test_a_job_whose_dataset_was_deleted_cannot_be_closed(rig: Rig) -> None:
    rig.add_dataset(PID)
    job_id = rig.submit(PID)
    rig.delete_dataset(PID)
    with pytest.raises(CatalogueJobUnclosable):
        rig.catalogue.update_job(job_id, JobUpdate(JobState.UNSUCCESSFUL, "m"))


def test_a_dataset_is_told_a_state(rig: Rig) -> None:
    rig.add_dataset(PID)
    rig.catalogue.update_lifecycle(PID, FAILED)
    told = rig.told_of_dataset(PID)
    assert told["retrieveStatusMessage"] == "datasetRetrievalFailed"
    assert told["retrieveReturnMessage"] == FAILED.return_message
    assert (told["retrievable"], told["retrieveIntegrityCheck"]) == (False, False)


def test_a_success_clears_an_older_error(rig: Rig) -> None:
    rig.add_dataset(PID)
    rig.catalogue.update_lifecycle(PID, FAILED)
    for _ in range(2):
        rig.catalogue.update_lifecycle(PID, RETRIEVED)
    told = rig.told_of_dataset(PID)
    assert told["retrieveStatusMessage"] == "datasetRetrieved"
    assert not told.get("retrieveReturnMessage")
    assert (told["retrievable"], told["retrieveIntegrityCheck"]) == (True, True)


def test_a_return_message_alone_leaves_the_word_as_it_is(rig: Rig) -> None:
    rig.add_dataset(PID)
    rig.catalogue.update_lifecycle(PID, RETRIEVED)
    message = {"status": "jobUnclosable", "result": [{"url": "https://link", "size": 7}]}
    rig.catalogue.update_lifecycle(PID, LifecycleUpdate(None, message))
    told = rig.told_of_dataset(PID)
    assert (told["retrieveStatusMessage"], told["retrieveReturnMessage"]) == ("datasetRetrieved", message)
    assert (told["retrievable"], told["retrieveIntegrityCheck"]) == (True, True)


def test_what_an_update_does_not_mention_is_left_as_it_is(rig: Rig) -> None:
    rig.add_dataset(PID)
    rig.catalogue.update_lifecycle(PID, RETRIEVED)
    rig.catalogue.update_lifecycle(PID, LifecycleUpdate(LifecycleWord.STARTED))
    told = rig.told_of_dataset(PID)
    assert (told["retrievable"], told["retrieveIntegrityCheck"]) == (True, True)


def test_many_datasets_may_be_told_at_once(rig: Rig) -> None:
    pids = [DatasetPid(f"20.500.12345/{number}") for number in range(16)]
    for pid in pids:
        rig.add_dataset(pid)
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(rig.catalogue.update_lifecycle, pids, [RETRIEVED] * 16))
    assert {rig.told_of_dataset(pid)["retrieveStatusMessage"] for pid in pids} == {"datasetRetrieved"}
