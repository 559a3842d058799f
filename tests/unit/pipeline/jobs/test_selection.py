import pytest
from hypothesis import given
from hypothesis import strategies as st

from scicat_retriever.domain import errors
from scicat_retriever.domain.dataset import CataloguedDatablock, RetrieveJob, Selection
from scicat_retriever.domain.ids import DatasetPid, JobId
from scicat_retriever.domain.states import DatablockState, DatasetState, JobState, LifecycleWord
from scicat_retriever.pipeline.jobs import intake, selection
from scicat_retriever.pipeline.reports import report
from scicat_retriever.pipeline.staging import space
from scicat_retriever.pipeline.transfer import publish
from tests.fakes.staging_area import InMemoryStagingArea
from tests.unit.pipeline.rig import JOB, PID, Rig, entries, tar
from tests.unit.pipeline.shown import datablocks_of

Q = DatasetPid("20.500.12345/q")
OTHER = JobId("other")
ONE, TWO, THREE = ({f"run/{name}.dat": name.encode() * 600} for name in ("one", "two", "three"))
SIZE = len(tar(ONE))

paths = st.text(st.characters(exclude_characters="\0"), min_size=1).filter(
    lambda path: not path.startswith(("/", "./"))
)
beginnings = st.lists(st.sampled_from(["./", "/"])).map("".join)


def block(rig: Rig, number: int, files: dict[str, bytes] = ONE, pid: DatasetPid = PID) -> CataloguedDatablock:
    return rig.archive(number, pid, content=tar(files), listed=entries(files))


def dataset_of_three(rig: Rig, pid: DatasetPid = PID) -> None:
    """A dataset with one file in each of its three datablocks."""
    blocks = [block(rig, number, files, pid) for number, files in enumerate((ONE, TWO, THREE))]
    rig.catalogue.add_dataset(pid, blocks)


def submit(rig: Rig, *selections: Selection, name: JobId = JOB) -> None:
    job = RetrieveJob(name, "retrieve", selections)
    rig.catalogue.add_job(job)
    intake.accept(job, rig.ledger.jobs)
    rig.ledger.jobs.move(name, JobState.IN_PROGRESS)


def measured(*names: str) -> Rig:
    """A job that chose files of a dataset of three datablocks, whose size is known."""
    rig = Rig()
    dataset_of_three(rig)
    submit(rig, Selection(PID, names))
    space.measure_job(JOB, rig.tools)
    return rig


def needed(rig: Rig) -> list[str]:
    """The archives that the job needs, once the dataset was planned."""
    rig.plan_again("run-1")
    return [record.datablock.archive_id for record in rig.ledger.needs.datablocks(JOB, PID)]


def bring(rig: Rig, pid: DatasetPid = PID) -> publish.Published:
    """Stage and publish all that is wanted of a dataset, as its flow does."""
    rig.ledger.jobs.move_dataset(JOB, pid, DatasetState.STARTED)
    for record in rig.plan_again("run-1", pid):
        if record.wanted and record.state is not DatablockState.STAGED:
            rig.stage(record)
    published = publish.publish(pid, rig.tools)
    rig.ledger.jobs.move_dataset(JOB, pid, DatasetState.RETRIEVED)
    return published


@given(paths, beginnings, beginnings)
def test_what_a_path_begins_with_makes_no_difference(path: str, one: str, other: str) -> None:
    assert selection.bare(one + path) == selection.bare(other + path) == path


@given(paths, paths)
def test_paths_that_differ_otherwise_are_different_files(one: str, other: str) -> None:
    assert (selection.bare(one) == selection.bare(other)) == (one == other)


@given(st.text(st.sampled_from("./a"), min_size=1))
def test_a_path_never_becomes_empty_and_is_bared_once_for_all(path: str) -> None:
    bared = selection.bare(path)
    assert bared
    assert selection.bare(bared) == bared or not bared.strip("./")


@pytest.mark.parametrize("name", ["run/two.dat", "./run/two.dat", "/run/two.dat"])
def test_only_the_datablock_that_holds_the_chosen_file_is_needed(name: str) -> None:
    assert needed(measured(name)) == ["p-1.tar"]


def test_a_catalogued_path_may_begin_with_what_the_chosen_one_does_not() -> None:
    rig = Rig()
    listed = {"./run/one.dat": b"1"}
    rig.catalogue.add_dataset(PID, [block(rig, 0, listed), block(rig, 1, TWO)])
    submit(rig, Selection(PID, ("run/one.dat",)))
    space.measure_job(JOB, rig.tools)
    assert needed(rig) == ["p-0.tar"]


def test_a_file_that_several_datablocks_list_is_taken_from_all_of_them() -> None:
    rig = Rig()
    rig.catalogue.add_dataset(PID, [block(rig, 0, ONE), block(rig, 1, TWO), block(rig, 2, ONE)])
    submit(rig, Selection(PID, ("run/one.dat",)))
    space.measure_job(JOB, rig.tools)
    assert needed(rig) == ["p-0.tar", "p-2.tar"]


def test_the_end_of_a_path_is_not_enough() -> None:
    rig = measured("two.dat")
    assert rig.ledger.jobs.datasets(JOB)[0].state is DatasetState.FAILED


def test_space_is_claimed_for_what_is_needed_alone() -> None:
    rig = measured("run/two.dat")
    space.claim_job(JOB, rig.tools)
    assert rig.ledger.inventory.usage().claimed == SIZE


def test_a_small_part_of_a_dataset_larger_than_staging_is_retrieved() -> None:
    rig = Rig(staging=InMemoryStagingArea(2 * SIZE))
    dataset_of_three(rig)
    submit(rig, Selection(PID, ("run/three.dat",)))
    space.measure_job(JOB, rig.tools)
    space.claim_job(JOB, rig.tools)
    assert not bring(rig).whole
    assert rig.ledger.needs.is_brought(JOB, PID)


def test_a_dataset_of_which_no_chosen_file_exists_fails_and_names_it_while_others_go_on() -> None:
    rig = Rig()
    dataset_of_three(rig)
    dataset_of_three(rig, Q)
    submit(rig, Selection(PID, ("run/on.dat",)), Selection(Q, ("run/one.dat",)))
    space.measure_job(JOB, rig.tools)
    wrong, right = rig.ledger.jobs.datasets(JOB)
    assert (wrong.state, right.state) == (DatasetState.FAILED, DatasetState.SUBMITTED)
    (failure,) = wrong.failures
    assert (failure.code, failure.cause, failure.who) == ("files_unknown", "user", "user")
    assert failure.message.startswith("dataset 20.500.12345/p has no file 'run/on.dat': ")


def test_of_many_unknown_files_the_first_are_named_and_the_others_counted() -> None:
    rig = measured("a" * 4096, *(f"no/{number}" for number in range(5)))
    message = rig.ledger.jobs.datasets(JOB)[0].failures[0].message
    assert f"'{'a' * 99}…', 'no/0', 'no/1' (and 3 more)" in message


def test_where_datablocks_are_not_shown_no_file_is_called_unknown() -> None:
    rig = Rig()
    dataset_of_three(rig)
    rig.catalogue.show_only(PID, 1)
    submit(rig, Selection(PID, ("run/three.dat",)))
    space.measure_job(JOB, rig.tools)
    (dataset,) = rig.ledger.jobs.datasets(JOB)
    assert (dataset.state, dataset.errors) == (DatasetState.SUBMITTED, ())


def test_a_job_is_not_measured_while_scicat_does_not_answer() -> None:
    rig = Rig()
    dataset_of_three(rig)
    submit(rig, Selection(PID, ("run/three.dat",)))
    rig.catalogue.fail(errors.CatalogueUnavailable("down"), "datablocks")
    with pytest.raises(errors.CatalogueUnavailable):
        space.measure_job(JOB, rig.tools)
    assert rig.ledger.claims.datasets_without_size(JOB, 9) == [PID]


def test_what_nobody_could_look_for_is_not_published() -> None:
    rig = Rig()
    dataset_of_three(rig)
    submit(rig, Selection(PID, ("run/three.dat",)))
    rig.catalogue.fail(errors.DatablocksInvisible("hidden"), "datablocks")
    space.measure_job(JOB, rig.tools)
    rig.ledger.jobs.move_dataset(JOB, PID, DatasetState.STARTED)
    rig.plan_again("run-1")
    with pytest.raises(errors.StagedFileMissing, match="no datablock that is asked for"):
        publish.publish(PID, rig.tools)


def test_a_part_of_a_dataset_is_not_told_as_retrieved() -> None:
    rig = measured("run/two.dat")
    report.dataset_retrieved(PID, bring(rig), rig.tools)
    rig.deliver()
    held = rig.catalogue.held_dataset(PID)
    assert (held.status, held.retrievable, held.integrity_check) == (LifecycleWord.NOTHING, True, False)
    assert held.return_message == {
        "status": "filesRetrieved",
        "message": "1 of its 3 datablocks are retrieved: not all of its files were asked for",
    }


def test_what_is_told_late_of_a_part_is_what_is_there_then() -> None:
    rig = measured("run/two.dat")
    report.dataset_retrieved(PID, bring(rig), rig.tools)
    (record,) = rig.ledger.needs.datablocks(JOB, PID)
    rig.staging.delete(record.key)
    rig.deliver()
    held = rig.catalogue.held_dataset(PID)
    assert (held.status, held.return_message) == (LifecycleWord.NOTHING, {})


def test_a_part_that_makes_the_dataset_whole_is_told_as_retrieved() -> None:
    rig = measured("run/two.dat")
    for record in rig.plan_again("run-0"):
        if record.position != 1:
            rig.stage(record)
    published = bring(rig)
    report.dataset_retrieved(PID, published, rig.tools)
    rig.deliver()
    assert rig.catalogue.held_dataset(PID).status is LifecycleWord.RETRIEVED


def test_a_wanted_datablock_that_is_not_staged_is_not_published() -> None:
    rig = measured("run/one.dat", "run/two.dat")
    rig.ledger.jobs.move_dataset(JOB, PID, DatasetState.STARTED)
    first, *_ = rig.plan_again("run-1")
    rig.stage(first)
    with pytest.raises(errors.StagedFileMissing, match=r"p-1\.tar"):
        publish.publish(PID, rig.tools)


def test_a_job_has_links_to_what_it_chose_and_is_told_what_is_not_there() -> None:
    rig = measured("run/two.dat", "run/four.dat")
    space.claim_job(JOB, rig.tools)
    bring(rig)
    report.close_job(JOB, None, rig.tools)
    rig.deliver()
    held = rig.catalogue.held_job(JOB)
    assert held.state is JobState.WITH_DATASET_ERRORS
    assert held.message.startswith("1 of 1 datasets are ready for download until ")
    assert "; dataset 20.500.12345/p has no file 'run/four.dat': " in held.message
    assert held.result is not None
    (entry,) = held.result["result"]
    assert (entry["datablocks"], entry["expires"] is not None) == (1, True)
    assert [(each["archiveId"], bool(each["url"])) for each in datablocks_of(rig)] == [("p-1.tar", True)]
    assert [(each["datasetId"], each["code"]) for each in held.result["errors"]] == [(PID, "files_unknown")]


def test_each_link_says_which_of_the_chosen_files_it_has() -> None:
    rig = measured("/run/two.dat", "run/one.dat")
    space.claim_job(JOB, rig.tools)
    bring(rig)
    report.close_job(JOB, None, rig.tools)
    assert [entry["chosen"] for entry in datablocks_of(rig)] == [["run/one.dat"], ["run/two.dat"]]


def test_names_of_chosen_files_are_left_out_where_they_would_take_too_much_room() -> None:
    rig = Rig()
    name = "n" * 4000
    blocks = [block(rig, n, {f"{name}/{n}-{each}": b"" for each in range(200)}) for n in range(2)]
    rig.catalogue.add_dataset(PID, blocks)
    submit(rig, Selection(PID, tuple(file.path for each in blocks for file in each.files)))
    space.measure_job(JOB, rig.tools)
    rig.plan_again("run-1")
    names = selection.ChosenNames(JOB, rig.ledger)
    first, second = (names.held_by(record) for record in rig.ledger.needs.datablocks(JOB, PID))
    assert (len(first or ()), second) == (200, None)


def test_a_job_for_a_whole_dataset_has_no_chosen_files() -> None:
    rig = Rig()
    dataset_of_three(rig)
    submit(rig, Selection(PID))
    (first, *_) = rig.plan_again("run-1")
    assert selection.ChosenNames(JOB, rig.ledger).held_by(first) is None


def test_a_job_whose_chosen_files_do_not_exist_ends_with_that_error_alone() -> None:
    rig = measured("run/four.dat")
    space.claim_job(JOB, rig.tools)
    report.close_job(JOB, None, rig.tools)
    rig.deliver()
    held = rig.catalogue.held_job(JOB)
    assert held.result is not None
    assert (held.state, held.result["result"], [each["code"] for each in held.result["errors"]]) == (
        JobState.WITH_DATASET_ERRORS,
        [],
        ["files_unknown"],
    )


def test_a_lost_datablock_that_a_job_did_not_choose_does_not_withdraw_its_dataset() -> None:
    rig = measured("run/two.dat")
    space.claim_job(JOB, rig.tools)
    first, *_ = rig.plan_again("run-0")
    rig.stage(first)
    bring(rig)
    report.close_job(JOB, None, rig.tools)
    rig.staging.delete(first.key)
    rig.deliver()
    assert rig.catalogue.held_job(JOB).state is JobState.SUCCESSFUL


def test_a_failed_run_leaves_what_it_never_wanted_as_it_is() -> None:
    rig = measured("run/two.dat")
    rig.ledger.jobs.move_dataset(JOB, PID, DatasetState.STARTED)
    rig.plan_again("run-1")
    publish.discard(PID, "run-1", "timed out", rig.tools, keep_verified=True)
    states = [record.state for record in rig.ledger.datablocks.of(PID)]
    assert states == [DatablockState.PLANNED, DatablockState.FAILED, DatablockState.PLANNED]


def test_a_retried_job_looks_for_its_files_again() -> None:
    rig = measured("run/four.dat")
    report.close_job(JOB, None, rig.tools)
    rig.catalogue.add_dataset(PID, [block(rig, 3, {"run/four.dat": b"4"})])
    intake.retry(JOB, rig.ledger.jobs)
    space.measure_job(JOB, rig.tools)
    assert needed(rig) == ["p-3.tar"]
    assert rig.ledger.jobs.datasets(JOB)[0].errors == ()
