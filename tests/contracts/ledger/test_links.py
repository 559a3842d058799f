"""Links that are revoked."""

from __future__ import annotations

import pytest

from scicat_retriever.domain.errors import JobNotFound
from scicat_retriever.domain.ids import JobId
from scicat_retriever.ports.ledger import Ledger
from tests.contracts.ledger.samples import FLOW, JOB, job


def test_links_carry_how_often_they_were_revoked(ledger: Ledger) -> None:
    ledger.jobs.add(job(), FLOW)
    ledger.jobs.add(job("another"), FLOW)
    assert ledger.links.serial(JOB) == 0
    assert ledger.links.revoke(JOB) == 1
    assert ledger.links.revoke(JOB) == 2
    assert ledger.links.serial(JOB) == 2
    assert ledger.links.serial(JobId("another")) == 0


def test_links_of_an_unknown_job_cannot_be_revoked(ledger: Ledger) -> None:
    with pytest.raises(JobNotFound):
        ledger.links.revoke(JobId("no such job"))
    assert ledger.links.serial(JobId("no such job")) == 0
