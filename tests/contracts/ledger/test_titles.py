"""What SciCat calls datasets, as the ledger keeps it."""

from __future__ import annotations

from scicat_retriever.domain.ids import JobId
from scicat_retriever.ports.ledger import Ledger
from scicat_retriever.ports.titles import Title
from tests.contracts.ledger.samples import FLOW, JOB, ODD, P, Q, job


def test_a_job_has_the_last_titles_of_its_datasets_in_its_order(ledger: Ledger) -> None:
    ledger.jobs.add(job(JOB, Q, P), FLOW)
    assert ledger.titles.of(JOB) == {}
    ledger.titles.note(P, Title("former"))
    ledger.titles.note(P, Title(ODD, "/data/p"))
    ledger.titles.note(P, Title(ODD, "/data/p"))
    assert ledger.titles.of(JOB) == {P: Title(ODD, "/data/p")}
    ledger.titles.note(Q, Title("q"))
    assert list(ledger.titles.of(JOB).items()) == [(Q, Title("q")), (P, Title(ODD, "/data/p"))]
    assert ledger.titles.of(JobId("unknown")) == {}
