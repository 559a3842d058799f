"""Jobs that choose files: what they need, and what a dataset's run retrieves for them."""

from datetime import timedelta

import pytest

from scicat_retriever.domain.dataset import RetrieveJob, Selection
from scicat_retriever.domain.errors import FilesUnknown, NothingToRetry, TransitionIllegal
from scicat_retriever.domain.ids import DatasetPid, JobId
from scicat_retriever.domain.states import DatablockState, DatasetState, JobState
from scicat_retriever.ports.jobs import FlowName, JobDatasetRecord
from scicat_retriever.ports.ledger import Ledger
from scicat_retriever.ports.needs import DatasetProgress
from scicat_retriever.ports.staging_area import Room
from tests.contracts.ledger.rig import Rig
from tests.contracts.ledger.samples import HOUR, ODD, P, Q, bring_to, end, entries, key
from tests.contracts.ledger.space_samples import A, B, C, claim, finish, grow, plan, stage, wish

State = DatablockState
UNKNOWN = FilesUnknown("dataset p has no file 'b'").failure()
BIG = 100_000


def choose(ledger: Ledger, name: JobId, *blocks: int, pid: DatasetPid = P, size: int = 100) -> JobId:
    """Have a job that chose files which these datablocks hold, and that was started."""
    ledger.jobs.add(
        RetrieveJob(name, "retrieve", (Selection(pid, ("a",)),), "ada", "p17"), FlowName(name, "flow")
    )
    ledger.needs.note_choice(name, pid, [key(block, pid).id for block in blocks], size, None)
    ledger.jobs.move_dataset(name, pid, DatasetState.STARTED)
    return name


def whole(ledger: Ledger, name: JobId, pid: DatasetPid = P, size: int = 400) -> JobId:
    """Have a job that wants all of a dataset, and that was started."""
    wish(ledger, name, {pid: size})
    ledger.jobs.move_dataset(name, pid, DatasetState.STARTED)
    return name


def wanted(ledger: Ledger, pid: DatasetPid = P) -> list[int]:
    return [record.position for record in ledger.datablocks.of(pid) if record.wanted]


def needed(ledger: Ledger, name: JobId, pid: DatasetPid = P) -> list[int]:
    return [record.position for record in ledger.needs.datablocks(name, pid)]


@pytest.mark.parametrize(
    ("selections", "chosen"),
    [
        ([Selection(P, ("a",))], True),
        ([Selection(P)], False),
        ([Selection(P, ("a",)), Selection(P, ("b",))], True),
        ([Selection(P, ("a",)), Selection(P)], False),
    ],
    ids=["files", "whole", "twice with files", "once without"],
)
@pytest.mark.parametrize("late", [False, True], ids=["with the job", "later"])
def test_a_dataset_is_chosen_where_every_entry_of_it_has_files(
    ledger: Ledger, selections: list[Selection], *, chosen: bool, late: bool
) -> None:
    ledger.jobs.add(RetrieveJob(A, "retrieve", () if late else tuple(selections)), FlowName(A, "flow"))
    if late:
        ledger.jobs.complete(A, RetrieveJob(A, "retrieve", tuple(selections)))
    assert ledger.jobs.datasets(A) == [JobDatasetRecord(P, DatasetState.SUBMITTED, chosen=chosen)]


def test_a_choice_gives_the_dataset_its_size(ledger: Ledger) -> None:
    choose(ledger, A, 1, size=70)
    assert (ledger.claims.datasets_without_size(A, 9), ledger.claims.job_size(A)) == ([], 70)


def test_a_choice_that_is_noted_again_replaces_the_one_before(ledger: Ledger) -> None:
    choose(ledger, A, 0, 1)
    plan(ledger, P, 100, 100, 100)
    ledger.needs.note_choice(A, P, [key(2).id], 100, None)
    assert needed(ledger, A) == [2]


def test_names_that_are_spelled_otherwise_are_known_until_the_choice_is_noted_again(ledger: Ledger) -> None:
    choose(ledger, A, 0)
    assert ledger.needs.respelled(A, P) == {}
    one, two = key(0).id, key(1).id
    spelled = {one: {"a": "/data/a", ODD: "odd"}, two: {"b": "/data/b"}, key(2).id: {"c": "/data/c"}}
    ledger.needs.note_choice(A, P, [one, two], 100, None, respelled=spelled)
    assert ledger.needs.respelled(A, P) == {"a": "/data/a", ODD: "odd", "b": "/data/b"}
    ledger.needs.note_choice(A, P, [one], 100, None)
    assert ledger.needs.respelled(A, P) == {}


def test_files_that_some_datablocks_lack_are_told_beside_and_the_dataset_goes_on(ledger: Ledger) -> None:
    choose(ledger, A, 0)
    ledger.needs.note_choice(A, P, [key(0).id], 100, UNKNOWN)
    (dataset,) = ledger.jobs.datasets(A)
    assert (dataset.state, dataset.failures, dataset.errors) == (DatasetState.STARTED, (), (UNKNOWN,))


def test_a_dataset_that_has_none_of_the_files_fails_for_the_job_alone(rig: Rig) -> None:
    whole(rig.ledger, B)
    choose(rig.ledger, A, 0)
    rig.ledger.needs.note_choice(A, P, [], 0, UNKNOWN)
    (failed,), (other,) = rig.ledger.jobs.datasets(A), rig.ledger.jobs.datasets(B)
    assert (failed.state, failed.errors, other.state) == (
        DatasetState.FAILED,
        (UNKNOWN,),
        DatasetState.STARTED,
    )
    last = rig.transitions()[-1]
    assert (last.subject, last.old, last.new, last.reason) == ((A, P), "started", "failed", "files_unknown")


def test_a_late_choice_does_not_change_how_the_dataset_ended(ledger: Ledger) -> None:
    choose(ledger, A, 0)
    ledger.jobs.move_dataset(A, P, DatasetState.RETRIEVED)
    ledger.needs.note_choice(A, P, [], 0, UNKNOWN)
    assert ledger.jobs.datasets(A)[0].state is DatasetState.RETRIEVED


@pytest.mark.parametrize("pid", [P, Q])
def test_of_a_dataset_that_a_job_does_not_choose_files_of_no_choice_is_noted(
    ledger: Ledger, pid: DatasetPid
) -> None:
    wish(ledger, A, {P: 100})
    with pytest.raises(TransitionIllegal):
        ledger.needs.note_choice(A, pid, [key(0, pid).id], 100, None)
    assert ledger.claims.job_size(A) == 100


def test_what_is_unknown_stays_told_however_the_dataset_ends(ledger: Ledger) -> None:
    choose(ledger, A, 0)
    ledger.needs.note_choice(A, P, [key(0).id], 100, UNKNOWN)
    ledger.jobs.move_dataset(A, P, DatasetState.RETRIEVED)
    assert ledger.jobs.datasets(A)[0].errors == (UNKNOWN,)


def test_a_job_needs_the_datablocks_it_chose_and_another_one_all(ledger: Ledger) -> None:
    choose(ledger, A, 2, 0)
    whole(ledger, B)
    plan(ledger, P, 100, 100, 100)
    assert (needed(ledger, A), needed(ledger, B), needed(ledger, A, Q)) == ([0, 2], [0, 1, 2], [])


def test_a_dataset_that_nobody_asks_for_is_wanted_whole(ledger: Ledger) -> None:
    choose(ledger, A, 1)
    end(ledger, A)
    plan(ledger, P, 100, 100)
    assert wanted(ledger) == [0, 1]


def test_what_all_jobs_need_together_is_wanted(ledger: Ledger) -> None:
    choose(ledger, A, 1)
    choose(ledger, B, 1, 3)
    plan(ledger, P, 100, 100, 100, 100)
    assert wanted(ledger) == [1, 3]


def test_one_job_that_needs_the_whole_dataset_has_all_wanted(ledger: Ledger) -> None:
    choose(ledger, A, 1)
    whole(ledger, B)
    plan(ledger, P, 100, 100)
    assert wanted(ledger) == [0, 1]


def test_a_job_that_waits_for_its_space_has_nothing_wanted_yet(ledger: Ledger) -> None:
    choose(ledger, A, 1)
    wish(ledger, B, {P: 400})
    plan(ledger, P, 100, 100)
    assert wanted(ledger) == [1]


def test_what_an_earlier_run_did_not_want_is_wanted_by_the_next_one(ledger: Ledger) -> None:
    choose(ledger, A, 1)
    stage(ledger, P, 100, 100)
    finish(ledger, A, P)
    whole(ledger, B)
    ledger.datablocks.plan(P, entries(2), "run-2")
    assert wanted(ledger) == [0, 1]


def test_sums_of_a_job_are_over_what_it_needs(ledger: Ledger) -> None:
    choose(ledger, A, 1, 2)
    plan(ledger, P, 10, 200, 3000)
    bring_to(ledger, key(1), State.STAGED, 200)
    assert list(ledger.needs.progress(A)) == [DatasetProgress(P, 2, 1, 200, 3200)]


def test_a_job_claims_what_it_needs_alone(ledger: Ledger) -> None:
    choose(ledger, A, 1, size=200)
    plan(ledger, P, 10, 200, 3000)
    assert claim(ledger, A, 200).granted
    assert ledger.inventory.usage().claimed == 200


def test_the_claim_of_a_planned_dataset_is_what_is_wanted_and_not_staged(ledger: Ledger) -> None:
    choose(ledger, A, 1, 2, size=50)
    plan(ledger, P, 10, 200, 3000)
    bring_to(ledger, key(1), State.STAGED, 200)
    claim(ledger, A, BIG)
    assert grow(ledger, P, Room(BIG, None)) == 0
    assert ledger.inventory.usage().claimed == 3000


def test_a_claim_that_ends_early_keeps_what_is_still_asked_for(ledger: Ledger) -> None:
    choose(ledger, A, 1, size=200)
    plan(ledger, P, 10, 200)
    claim(ledger, A, BIG)
    ledger.claims.end(P)
    assert ledger.inventory.usage().claimed == 200


def test_a_dataset_is_brought_for_a_job_once_all_that_it_needs_is_staged(ledger: Ledger) -> None:
    choose(ledger, A, 1, 2)
    plan(ledger, P, 100, 100, 100)
    bring_to(ledger, key(1), State.STAGED)
    before = ledger.needs.is_brought(A, P)
    bring_to(ledger, key(2), State.STAGED)
    assert (before, ledger.needs.is_brought(A, P)) == (False, True)


def test_a_job_whose_choice_is_not_known_has_nothing_brought(ledger: Ledger) -> None:
    stage(ledger, P, 100)
    ledger.jobs.add(RetrieveJob(A, "retrieve", (Selection(P, ("a",)),)), FlowName(A, "flow"))
    assert not ledger.needs.is_brought(A, P)


def test_a_chosen_datablock_that_the_catalogue_lists_no_more_is_not_brought(ledger: Ledger) -> None:
    choose(ledger, A, 0, 1)
    stage(ledger, P, 100, 100)
    ledger.datablocks.plan(P, entries(1), "run-2")
    assert (needed(ledger, A), ledger.needs.is_brought(A, P)) == ([0], False)


def test_of_a_dataset_that_a_job_does_not_have_nothing_is_brought(ledger: Ledger) -> None:
    stage(ledger, Q, 100)
    choose(ledger, A, 0)
    assert not ledger.needs.is_brought(A, Q)


def test_an_ended_job_of_which_all_it_needs_is_there_is_not_retried(ledger: Ledger) -> None:
    choose(ledger, A, 0)
    plan(ledger, P, 100, 100)
    bring_to(ledger, key(0), State.STAGED)
    finish(ledger, A, P)
    with pytest.raises(NothingToRetry):
        ledger.jobs.retry(A, FlowName("2", "again"))


def test_a_retry_looks_for_the_files_anew(ledger: Ledger) -> None:
    choose(ledger, A, 0)
    plan(ledger, P, 100, 100)
    finish(ledger, A)
    ledger.jobs.retry(A, FlowName("2", "again"))
    assert (ledger.claims.datasets_without_size(A, 9), needed(ledger, A)) == ([P], [])


def test_a_retry_forgets_which_files_were_unknown(ledger: Ledger) -> None:
    choose(ledger, A, 0)
    ledger.needs.note_choice(A, P, [], 0, UNKNOWN)
    end(ledger, A)
    ledger.jobs.retry(A, FlowName("2", "again"))
    assert ledger.jobs.datasets(A) == [JobDatasetRecord(P, DatasetState.SUBMITTED, chosen=True)]


def test_a_dataset_that_lacked_files_is_retried(ledger: Ledger) -> None:
    choose(ledger, A, 0)
    stage(ledger, P, 100)
    ledger.needs.note_choice(A, P, [key(0).id], 100, UNKNOWN)
    finish(ledger, A, P)
    assert ledger.jobs.retry(A, FlowName("2", "again"), [P]) == 1


def test_a_job_is_mended_for_what_it_needs_and_not_for_the_rest(ledger: Ledger) -> None:
    choose(ledger, A, 0)
    choose(ledger, B, 1)
    claim(ledger, A, BIG)
    claim(ledger, B, BIG)
    stage(ledger, P, 100, 100, 100)
    finish(ledger, A, P)
    finish(ledger, B, P)
    ledger.claims.end_idle()
    ledger.cache.withdraw(key(1), "damaged")
    ledger.cache.withdraw(key(2), "damaged")
    assert ledger.pins.jobs_to_mend(9) == [B]


def test_a_job_that_needs_a_part_pins_again_what_it_has_of_it(ledger: Ledger) -> None:
    choose(ledger, A, 0)
    plan(ledger, P, 100, 100)
    bring_to(ledger, key(0), State.STAGED, 100)
    ledger.jobs.move_dataset(A, P, DatasetState.RETRIEVED)
    assert claim(ledger, A, BIG).needed == 0
    assert [pin.owner for _, pin in ledger.pins.find(P)] == [A]


def test_a_quota_counts_what_is_needed_alone(ledger: Ledger) -> None:
    choose(ledger, A, 0, size=100)
    stage(ledger, P, 100, 5000)
    assert claim(ledger, A, BIG, quota=150).granted


def test_a_job_does_not_mind_that_what_it_does_not_need_is_evicted(ledger: Ledger, rig: Rig) -> None:
    choose(ledger, A, 0)
    stage(ledger, P, 100, 100)
    end(ledger, A)
    now = rig.clock.advance(HOUR)
    assert ledger.cache.evict(key(1), now - timedelta(minutes=1), "room")
    assert ledger.needs.is_brought(A, P)


def test_a_choice_outlives_a_restart_of_its_job(ledger: Ledger) -> None:
    choose(ledger, C, 1)
    plan(ledger, P, 100, 100)
    ledger.jobs.move(C, JobState.IN_PROGRESS)
    assert ledger.job_flows.restart(C, FlowName("2", "again"), 1)
    assert needed(ledger, C) == [1]
