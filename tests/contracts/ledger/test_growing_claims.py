"""What every ledger promises of claims that grow: what a job joins is claimed in the line, and nobody waits for one that waits."""

from __future__ import annotations

import pytest

from scicat_retriever.domain.dataset import RetrieveJob, Selection
from scicat_retriever.domain.ids import DatasetPid, JobId
from scicat_retriever.domain.states import DatablockState, DatasetState, JobState
from scicat_retriever.ports.claims import Growth, PlaceInLine
from scicat_retriever.ports.jobs import FlowName
from scicat_retriever.ports.ledger import Ledger
from scicat_retriever.ports.staging_area import Room
from tests.contracts.ledger.rig import Rig
from tests.contracts.ledger.samples import HOUR, P, Q, bring_to, key
from tests.contracts.ledger.space_samples import SILENCE, A, B, C, claim, finish, grow, owners, plan, wish

R = DatasetPid("20.500.12345/r")
D = JobId("job d")
State = DatablockState


def claimed(ledger: Ledger) -> int:
    return ledger.inventory.usage().claimed


def choose(ledger: Ledger, name: JobId, *blocks: int, size: int, pid: DatasetPid = P) -> JobId:
    """Have a job that chose files which these datablocks hold."""
    chosen = RetrieveJob(name, "retrieve", (Selection(pid, ("a",)),), "ada", "p17")
    ledger.jobs.add(chosen, FlowName(name, "flow"))
    ledger.needs.note_choice(name, pid, [key(block, pid).id for block in blocks], size, None)
    return name


def start(
    ledger: Ledger, name: JobId, *sizes: int, declared: int, pid: DatasetPid = P, total: int = 100
) -> None:
    """Have a job that has its space, and whose dataset was started and planned with datablocks of these sizes."""
    assert claim(ledger, wish(ledger, name, {pid: declared}), total).granted
    ledger.jobs.move_dataset(name, pid, DatasetState.STARTED)
    plan(ledger, pid, *sizes)


def more(ledger: Ledger, pid: DatasetPid, total: int = 100) -> Growth:
    return ledger.claims.for_dataset(pid, Room(total, None), silence=SILENCE)


def test_a_job_for_a_whole_dataset_claims_what_is_not_claimed_for_one_that_chose_files(
    ledger: Ledger,
) -> None:
    claim(ledger, choose(ledger, A, 0, size=10), 100)
    wish(ledger, B, {P: 60})
    assert claim(ledger, B, 59) == PlaceInLine(1, 1, 50)
    assert claimed(ledger) == 10
    assert claim(ledger, B, 60) == PlaceInLine(0, 0, 50)
    assert claimed(ledger) == 60


@pytest.mark.parametrize(("blocks", "needed"), [((0,), 0), ((1,), 10), ((0, 1), 10)])
def test_a_job_that_chose_files_claims_what_nobody_brings(
    ledger: Ledger, blocks: tuple[int, ...], needed: int
) -> None:
    claim(ledger, choose(ledger, A, 0, size=10), 100)
    assert claim(ledger, choose(ledger, B, *blocks, size=10), 100) == PlaceInLine(0, 0, needed)


def test_a_job_that_chose_files_of_what_another_one_wants_whole_needs_nothing(ledger: Ledger) -> None:
    claim(ledger, wish(ledger, A, {P: 60}), 60)
    assert claim(ledger, choose(ledger, B, 1, size=10), 60) == PlaceInLine(0, 0, 0)


def test_a_claim_that_a_job_joined_does_not_shrink_to_what_the_run_brings(ledger: Ledger) -> None:
    claim(ledger, choose(ledger, A, 0, size=10), 100)
    ledger.jobs.move_dataset(A, P, DatasetState.STARTED)
    plan(ledger, P, 10, 50)
    claim(ledger, wish(ledger, B, {P: 60}), 100)
    assert grow(ledger, P, Room(100, None)) == 0
    assert claimed(ledger) == 60
    finish(ledger, B)
    ledger.claims.end(P)
    assert claimed(ledger) >= 10


def test_what_was_chosen_by_several_jobs_stays_claimed_for_all_of_them(ledger: Ledger) -> None:
    for name, block in ((A, 0), (B, 1)):
        claim(ledger, choose(ledger, name, block, size=10), 100)
    ledger.claims.end(P)
    assert claimed(ledger) == 20


def test_a_claim_that_waits_to_grow_comes_before_all_jobs(ledger: Ledger) -> None:
    start(ledger, A, 60, 20, declared=60)
    claim(ledger, wish(ledger, B, {Q: 25}), 100)
    assert more(ledger, P) == Growth(5)
    # It needs and holds 80 bytes: all that goes ahead of it must leave them.
    assert claim(ledger, wish(ledger, C, {R: 15}), 100).granted
    finish(ledger, B)
    ledger.claims.end_idle()
    assert claim(ledger, wish(ledger, D, {DatasetPid("d"): 6}), 100) == PlaceInLine(0, 2, 6)
    ledger.claims.note_sizes(D, {DatasetPid("d"): 5})
    assert claim(ledger, D, 100).granted
    assert more(ledger, P) == Growth(0)
    assert claimed(ledger) == 100


def test_what_grows_goes_ahead_of_those_in_line(ledger: Ledger) -> None:
    start(ledger, A, 30, 10, declared=30)
    assert not claim(ledger, wish(ledger, B, {Q: 80}), 100).granted
    assert more(ledger, P) == Growth(0)
    # Of the 20 bytes that may go ahead of the job, 10 did.
    assert not claim(ledger, wish(ledger, C, {R: 11}), 100).granted
    ledger.claims.note_sizes(C, {R: 10})
    assert claim(ledger, C, 100).granted


def test_a_claim_that_waits_and_is_not_asked_for_again_is_passed_over(rig: Rig) -> None:
    start(rig.ledger, A, 60, 30, declared=60)
    assert claim(rig.ledger, wish(rig.ledger, B, {Q: 20}), 100).granted
    assert more(rig.ledger, P) == Growth(10)
    assert not claim(rig.ledger, wish(rig.ledger, C, {R: 15}), 100).granted
    rig.clock.advance(SILENCE + HOUR)
    assert claim(rig.ledger, C, 100).granted


def test_of_two_that_wait_for_each_other_the_later_job_gives_back(ledger: Ledger) -> None:
    start(ledger, A, 40, 20, declared=40)
    start(ledger, B, 40, 20, declared=40, pid=Q)
    claim(ledger, wish(ledger, C, {R: 20}), 100)
    assert more(ledger, Q) == Growth(20)
    assert more(ledger, P) == Growth(20)
    finish(ledger, C)
    ledger.claims.end_idle()
    claim(ledger, wish(ledger, D, {DatasetPid("d"): 0}), 100)
    assert claimed(ledger) == 80
    assert more(ledger, P, 90) == Growth(10)
    assert more(ledger, Q, 90) == Growth(10, gives_back=True)


def test_those_wait_together_that_leave_the_first_its_space(ledger: Ledger) -> None:
    start(ledger, A, 30, 10, declared=30)
    start(ledger, B, 30, 10, declared=30, pid=Q)
    claim(ledger, wish(ledger, C, {R: 35}), 100)
    assert (more(ledger, P), more(ledger, Q)) == (Growth(5), Growth(5))


def test_one_whose_jobs_hold_too_much_themselves_gives_back_alone_as_it_is(ledger: Ledger) -> None:
    start(ledger, A, 40, declared=40)
    assert claim(ledger, wish(ledger, B, {P: 40, Q: 40}), 100).granted
    plan(ledger, P, 40, 25)
    assert more(ledger, P) == Growth(5)
    ledger.jobs.move_dataset(B, P, DatasetState.STARTED)
    assert more(ledger, P) == Growth(5, gives_back=True)
    assert claim(ledger, wish(ledger, C, {R: 20}), 100).granted


def test_a_job_that_gives_back_holds_nothing_and_asks_for_everything_again(ledger: Ledger) -> None:
    claim(ledger, wish(ledger, A, {P: 30, Q: 30, R: 30}), 100)
    for pid in (P, Q):
        ledger.jobs.move_dataset(A, pid, DatasetState.STARTED)
    (block,) = plan(ledger, P, 30)
    bring_to(ledger, block, State.STAGED, 30)
    ledger.jobs.move_dataset(A, P, DatasetState.RETRIEVED)
    plan(ledger, Q, 30, 20)
    assert not ledger.claims.is_in_line(A)
    ledger.claims.give_back(A, Q)
    assert ledger.claims.is_in_line(A)
    for pid in (P, Q):
        ledger.claims.end(pid)
    ledger.claims.end_idle()
    assert (claimed(ledger), owners(ledger)) == (0, [])
    assert {each.state for each in ledger.jobs.datasets(A)} == {DatasetState.SUBMITTED}
    assert claim(ledger, A, 109) == PlaceInLine(1, 1, 80)
    assert claim(ledger, A, 110) == PlaceInLine(0, 0, 80)
    assert owners(ledger) == [A, A, A]
    assert not ledger.claims.is_in_line(A)


def test_a_job_that_only_seemed_to_wait_keeps_the_space_that_it_has(ledger: Ledger) -> None:
    start(ledger, A, 30, declared=30)
    assert ledger.claims.give_back(A, P)
    assert ledger.claims.give_back(A, P, if_waiting=True)
    assert claim(ledger, A, 100).granted
    assert not ledger.claims.give_back(A, P, if_waiting=True)
    assert (claimed(ledger), owners(ledger), ledger.claims.is_in_line(A)) == (30, [A], False)


def test_a_job_remembers_how_large_a_dataset_was_that_it_gave_back(ledger: Ledger) -> None:
    start(ledger, A, 30, 30, declared=30)
    ledger.claims.give_back(A, P)
    plan(ledger, P, 30)
    assert ledger.claims.job_size(A) == 60


def test_giving_back_again_changes_only_the_dataset(ledger: Ledger) -> None:
    start(ledger, A, 30, declared=30)
    claim(ledger, A, 100)
    ledger.claims.give_back(A, P)
    ledger.jobs.move_dataset(A, P, DatasetState.STARTED)
    waiting = ledger.claims.waiting_jobs()
    ledger.claims.give_back(A, P)
    assert ledger.jobs.datasets(A)[0].state is DatasetState.SUBMITTED
    assert ledger.claims.waiting_jobs() == waiting


def test_a_job_that_has_ended_gives_nothing_back(ledger: Ledger) -> None:
    start(ledger, A, 30, declared=30)
    finish(ledger, A, P)
    ledger.claims.give_back(A, P)
    assert ledger.jobs.datasets(A)[0].state is DatasetState.RETRIEVED
    assert not ledger.claims.is_in_line(A)


def test_a_job_leaves_the_line_with_its_end(ledger: Ledger) -> None:
    start(ledger, A, 30, declared=30)
    ledger.claims.give_back(A, P)
    ledger.jobs.move(A, JobState.UNSUCCESSFUL)
    assert not ledger.claims.is_in_line(A)


def test_a_claim_that_waits_to_grow_ends_with_its_claim(ledger: Ledger) -> None:
    start(ledger, A, 60, 30, declared=60)
    claim(ledger, wish(ledger, B, {Q: 20}), 100)
    assert more(ledger, P).missing
    finish(ledger, A)
    ledger.claims.end(P)
    assert claim(ledger, wish(ledger, C, {R: 80}), 100).granted
