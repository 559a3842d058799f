"""The outbox: what SciCat has to hear is told in order, at least once, by whoever is there to tell it.

A report is written in the transaction that caused it, so a crash cannot part them. Any worker then tells it;
one that dies loses its claim after seconds, and another goes on.
"""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import structlog

from scicat_retriever.domain.backoff import pause_before
from scicat_retriever.domain.errors import (
    CatalogueJobUnclosable,
    CatalogueUnavailable,
    Failure,
    InternalError,
    LedgerUnavailable,
    RetrieverError,
    error_of,
)
from scicat_retriever.domain.ids import DatasetPid, JobId
from scicat_retriever.domain.states import JobState
from scicat_retriever.pipeline.reports import unclosable
from scicat_retriever.pipeline.reports.patience import Patience
from scicat_retriever.pipeline.reports.report import job_update, lifecycle_update
from scicat_retriever.pipeline.tools.toolbox import Toolbox
from scicat_retriever.ports.reports import Report, Subject

CLAIM = timedelta(seconds=5)
"""How long a report stays with a teller that is not heard of any more."""
TELLERS = 4
"""Reports told at once by one worker."""
LOOK = 0.2
"""Seconds between two looks for something to tell."""
_SHORTLY = 0.05
INTERNAL_ATTEMPTS = 5
"""How often a report is tried that fails by a fault of our own."""
log = structlog.get_logger(__name__)


class Teller:
    """Tells SciCat what waits in the outbox.

    Args:
        name: Tells this teller from all others, those of former processes included.
        tools: The ports.
        patience: How a report is tried again.
    """

    def __init__(self, name: str, tools: Toolbox, patience: Patience) -> None:
        self._name = name
        self._tools = tools
        self._patience = patience
        self._in_hand: set[int] = set()
        """Numbers of the reports that are told now; no other claims are renewed, so that a lost one ends."""

    def run(self, stop: threading.Event) -> None:
        """Tell due reports until `stop` is set, several at once; returns when the last one is done with."""
        done = threading.Event()
        with ThreadPoolExecutor(1, thread_name_prefix="outbox-claims") as holder:
            holder.submit(self._hold_claims, done)
            try:
                with ThreadPoolExecutor(TELLERS, thread_name_prefix="outbox") as threads:
                    for _ in range(TELLERS):
                        threads.submit(self._tell_all, stop)
            finally:
                done.set()

    def tell_now(self, subject: Subject) -> None:
        """Tell all that waits of a subject, due or not; returns only when SciCat holds it.

        Raises:
            CatalogueUnavailable: SciCat does not answer, or does not answer another teller who is telling it
                now.
            RetrieverError: It was not told, this time or for ever.
        """
        ledger, pause = self._tools.ledger, threading.Event()
        for _ in range(int(CLAIM.total_seconds() / _SHORTLY)):
            while report := ledger.reports.claim(self._name, CLAIM, subject):
                error = self._tell(report)
                if error is not None:
                    raise error
            waiting = ledger.reports.find(subject)
            if not waiting:
                return
            last = waiting[-1]  # an older one may be parked since before the job was retried
            if last.parked and last.failure is not None:
                raise error_of(last.failure, RetrieverError) or InternalError(last.failure.message)
            pause.wait(_SHORTLY)  # another teller was quicker: it is telling it now
        raise CatalogueUnavailable(f"SciCat is being told of {subject.kind} {subject.name}")

    def _tell_all(self, stop: threading.Event) -> None:
        while not stop.is_set():
            try:
                while not stop.is_set() and (report := self._tools.ledger.reports.claim(self._name, CLAIM)):
                    self._tell(report)
            except LedgerUnavailable as error:
                log.warning("the ledger does not answer; SciCat is told later", why=str(error))
            except Exception:
                # Were this thread to end, SciCat would hear nothing any more and nobody would know.
                log.exception("SciCat cannot be told by a fault of the service")
            stop.wait(LOOK)

    def _hold_claims(self, done: threading.Event) -> None:
        while not done.wait(CLAIM.total_seconds() / 5):
            try:
                self._tools.ledger.reports.renew(self._name, tuple(self._in_hand), CLAIM)
            except LedgerUnavailable:
                continue
            except Exception:
                log.exception("the claims of reports cannot be renewed by a fault of the service")

    def _tell(self, report: Report) -> RetrieverError | None:
        """Tell a claimed report; gives why it could not be told."""
        self._in_hand.add(report.number)
        try:
            return self._try(report)
        finally:
            self._in_hand.discard(report.number)

    def _try(self, report: Report) -> RetrieverError | None:
        try:
            self._send(report)
        except LedgerUnavailable as error:
            return error  # the claim runs out by itself
        except RetrieverError as error:
            self._failed(report, error, final=not error.retryable)
            return error
        except Exception as error:
            log.exception("SciCat cannot be told by a fault of the service", subject=report.subject.name)
            fault = InternalError(f"telling SciCat: {type(error).__name__}: {error}")
            self._failed(report, fault, final=report.attempts + 1 >= INTERNAL_ATTEMPTS)
            return fault
        self._tools.ledger.reports.delivered(report.number)
        return None

    def _send(self, report: Report) -> None:
        subject, catalogue = report.subject, self._tools.catalogue
        match report.content:
            case JobState() as state:
                job_id = JobId(subject.name)
                try:
                    catalogue.update_job(job_id, job_update(job_id, state, self._tools))
                except CatalogueJobUnclosable as error:
                    raise unclosable.take_note(job_id, state, error, self._tools) from None
            case update:
                pid = DatasetPid(subject.name)
                links_alone = update.return_message.get("status") == unclosable.JOB_UNCLOSABLE
                compose = unclosable.with_links if links_alone else lifecycle_update
                catalogue.update_lifecycle(pid, compose(pid, update, self._tools))

    def _failed(self, report: Report, error: RetrieverError, *, final: bool) -> None:
        failure: Failure = error.failure()
        now = self._tools.clock()
        words = {"kind": report.subject.kind, "name": report.subject.name, "code": failure.code}
        if final or (now - report.created_at).total_seconds() > self._patience.report_timeout:
            log.error(
                "SciCat cannot be told; the report is parked until an operator retries it",
                **words,
                why=failure.message,
            )
            self._tools.ledger.reports.park(report.number, failure)
            return
        log.info("SciCat was not told", **words, why=failure.message, attempt=report.attempts + 1)
        pause = pause_before(
            report.attempts + 1, self._patience.backoff_initial, self._patience.backoff_maximum
        )
        self._tools.ledger.reports.postpone(report.number, failure, now + pause)
