"""A teller that tells what is due until it is stopped."""

import threading
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from threading import Thread

from scicat_retriever.domain import errors
from scicat_retriever.domain.ids import DatasetPid
from scicat_retriever.domain.states import LifecycleWord
from scicat_retriever.pipeline.reports.teller import CLAIM, TELLERS
from scicat_retriever.ports.catalogue import LifecycleUpdate
from scicat_retriever.ports.reports import Report, Subject
from tests.fakes.catalogue import InMemoryCatalogue
from tests.fakes.ledger import InMemoryLedger
from tests.unit.pipeline.rig import PID, Rig

SECONDS = 60
"""How long to wait for what must happen."""
PIDS = [DatasetPid(f"20.500.12345/{number}") for number in range(TELLERS)]
STARTED = LifecycleUpdate(LifecycleWord.STARTED)
FAILED = LifecycleUpdate(LifecycleWord.FAILED)
AWAY = errors.CatalogueUnavailable("SciCat answers 503")


def wait_until(happened: Callable[[], object]) -> None:
    deadline = time.monotonic() + SECONDS
    while not happened():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.005)


@contextmanager
def running(rig: Rig, name: str = "teller-1") -> Iterator[threading.Event]:
    """Have a teller run; gives what stops it."""
    stop = threading.Event()
    thread = Thread(target=rig.teller(name).run, args=(stop,))
    thread.start()
    try:
        yield stop
    finally:
        stop.set()
        thread.join(SECONDS)
        assert not thread.is_alive()


class Ledger(InMemoryLedger):
    """A ledger that fails as it is told to, and counts how often claims were renewed."""

    renewals = 0

    def __init__(self, rig: Rig) -> None:
        super().__init__(rig.clock)
        self.to_claim: list[Exception] = []
        self.to_note: list[Exception] = []
        self.to_renew: list[Exception] = []
        rig.ledger, rig.tools = self, replace(rig.tools, ledger=self)

    def claim_report(self, teller: str, claim: timedelta, subject: Subject | None = None) -> Report | None:
        self._fail(self.to_claim)
        return super().claim_report(teller, claim, subject)

    def delivered(self, number: int) -> None:
        self._fail(self.to_note)
        super().delivered(number)

    def renew_claims(self, teller: str, numbers: Collection[int], claim: timedelta) -> None:
        self._fail(self.to_renew)
        super().renew_claims(teller, numbers, claim)
        self.renewals += 1

    def _fail(self, errors: list[Exception]) -> None:
        if errors:
            raise errors.pop()


class SlowCatalogue(InMemoryCatalogue):
    """A catalogue that takes its time with datasets until it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.begun: list[DatasetPid] = []
        self.go = threading.Event()

    def update_lifecycle(self, pid: DatasetPid, update: LifecycleUpdate) -> None:
        self.begun.append(pid)
        assert self.go.wait(SECONDS)
        super().update_lifecycle(pid, update)


def rig_with_reports(catalogue: InMemoryCatalogue | None = None) -> tuple[Rig, Ledger]:
    """Fakes where something waits to be told of each dataset."""
    rig = Rig(catalogue=catalogue or InMemoryCatalogue())
    ledger = Ledger(rig)
    for pid in PIDS:
        rig.catalogue.add_dataset(pid, ())
        ledger.reports.tell_dataset(pid, STARTED)
    return rig, ledger


def all_told(rig: Rig) -> bool:
    return {pid for pid, _ in rig.catalogue.updates} == set(PIDS) and rig.ledger.reports.count() == (0, 0)


def test_what_waits_is_told() -> None:
    rig, _ = rig_with_reports()
    with running(rig):
        wait_until(lambda: all_told(rig))


def test_what_is_written_while_it_runs_is_told() -> None:
    rig, ledger = rig_with_reports()
    with running(rig):
        wait_until(lambda: all_told(rig))
        ledger.reports.tell_dataset(PIDS[0], FAILED)
        wait_until(lambda: (PIDS[0], FAILED) in rig.catalogue.updates)


def test_several_subjects_are_told_at_once() -> None:
    rig, _ = rig_with_reports(catalogue := SlowCatalogue())
    with running(rig):
        wait_until(lambda: set(catalogue.begun) == set(PIDS))
        catalogue.go.set()


def test_one_subject_is_told_by_one_at_a_time() -> None:
    rig = Rig(catalogue=(catalogue := SlowCatalogue()))
    rig.catalogue.add_dataset(PID, ())
    updates = [LifecycleUpdate(LifecycleWord.FAILED, {"number": number}) for number in range(20)]
    for update in updates:
        rig.ledger.reports.tell_dataset(PID, update)
    with running(rig, "teller-1"), running(rig, "teller-2"):
        catalogue.go.set()
        wait_until(lambda: rig.ledger.reports.count() == (0, 0))
    assert rig.catalogue.updates == [(PID, update) for update in updates]


def test_what_failed_is_tried_again_when_it_is_due_and_not_before() -> None:
    rig, ledger = rig_with_reports()
    rig.catalogue.fail(AWAY, times=len(PIDS))
    with running(rig):
        wait_until(lambda: [report.attempts for report in ledger.reports.find()] == [1] * len(PIDS))
        assert rig.catalogue.updates == []
        rig.clock.advance(timedelta(seconds=12))
        wait_until(lambda: all_told(rig))


def test_a_parked_report_is_told_when_somebody_asks_for_it() -> None:
    rig, ledger = rig_with_reports()
    rig.catalogue.fail(errors.DatasetUnknown("gone"), times=len(PIDS))
    with running(rig):
        wait_until(lambda: ledger.reports.count() == (0, len(PIDS)))
        ledger.reports.unpark()
        wait_until(lambda: all_told(rig))


def test_a_ledger_that_does_not_answer_is_asked_again() -> None:
    rig, ledger = rig_with_reports()
    ledger.to_claim = [errors.LedgerUnavailable("it does not answer") for _ in range(TELLERS)]
    with running(rig):
        wait_until(lambda: all_told(rig))


def test_a_fault_of_the_service_ends_nothing() -> None:
    rig, ledger = rig_with_reports()
    ledger.to_claim = [ZeroDivisionError("a fault") for _ in range(TELLERS)]
    with running(rig):
        wait_until(lambda: all_told(rig))


def test_a_report_stays_with_its_teller_for_as_long_as_telling_takes() -> None:
    rig, ledger = rig_with_reports(catalogue := SlowCatalogue())
    with running(rig):
        wait_until(lambda: set(catalogue.begun) == set(PIDS))
        for _ in range(2):
            rig.clock.advance(CLAIM * 0.9)
            seen = ledger.renewals
            wait_until(lambda: ledger.renewals >= seen + 2)  # noqa: B023 - called at once
        assert ledger.reports.claim("teller-2", CLAIM) is None
        catalogue.go.set()


def test_a_report_stays_with_its_teller_though_it_is_to_stop() -> None:
    rig, ledger = rig_with_reports(catalogue := SlowCatalogue())
    with running(rig) as stop:
        wait_until(lambda: set(catalogue.begun) == set(PIDS))
        stop.set()
        seen = ledger.renewals
        wait_until(lambda: ledger.renewals > seen)
        catalogue.go.set()
    assert all_told(rig)


def test_claims_are_held_after_the_ledger_did_not_answer_or_failed() -> None:
    rig, ledger = rig_with_reports(catalogue := SlowCatalogue())
    ledger.to_renew = [errors.LedgerUnavailable("away"), ZeroDivisionError("a fault")]
    with running(rig):
        wait_until(lambda: set(catalogue.begun) == set(PIDS))
        wait_until(lambda: ledger.renewals)
        catalogue.go.set()


def test_a_claim_is_not_held_for_ever_where_the_ledger_did_not_hear_of_the_end() -> None:
    rig, ledger = rig_with_reports()
    ledger.to_note = [errors.LedgerUnavailable("away") for _ in PIDS]
    with running(rig):
        wait_until(lambda: not ledger.to_note)
        rig.clock.advance(CLAIM * 0.9)
        seen = ledger.renewals
        wait_until(lambda: ledger.renewals >= seen + 2)
        rig.clock.advance(CLAIM * 0.2)
        wait_until(lambda: all_told(rig))


def test_what_is_due_after_it_was_stopped_is_left_to_others() -> None:
    rig, ledger = rig_with_reports(catalogue := SlowCatalogue())
    for pid in PIDS:
        ledger.reports.tell_dataset(pid, FAILED)
    with running(rig) as stop:
        wait_until(lambda: set(catalogue.begun) == set(PIDS))
        stop.set()
        catalogue.go.set()
    assert [report.content for report in ledger.reports.find()] == [FAILED] * len(PIDS)
