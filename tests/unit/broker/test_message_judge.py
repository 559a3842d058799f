"""What is stored before a message is acknowledged, and what is tried again when the ledger is away."""

from __future__ import annotations

import json
from functools import partial

import pytest

from scicat_retriever.broker.consumption import MessageJudge, NotStored
from scicat_retriever.broker.decision import Refused
from scicat_retriever.catalogue.wire import judge
from scicat_retriever.domain.dataset import RetrieveJob
from scicat_retriever.domain.errors import JobRefused, LedgerUnavailable

GOOD = {"id": "job-1", "type": "retrieve", "jobParams": {"datasetList": [{"pid": "p"}]}}
BAD = {**GOOD, "jobParams": {"datasetList": []}}


class Book:
    """Takes jobs and refusals, once it is there."""

    def __init__(self) -> None:
        self.away = True
        self.stored: list[str] = []

    def accept(self, job: RetrieveJob) -> None:
        self._store(f"taken {job.id}")

    def refuse(self, refused: JobRefused) -> None:
        assert refused.job is not None
        self._store(f"refused {refused.job.id}: {refused}")

    def _store(self, what: str) -> None:
        if self.away:
            raise LedgerUnavailable("the database does not answer")
        self.stored.append(what)


@pytest.mark.parametrize(
    ("message", "stored"),
    [(GOOD, "taken job-1"), (BAD, "refused job-1: The job names no dataset")],
    ids=["taken", "refused"],
)
def test_what_the_ledger_does_not_take_now_is_stored_when_it_is_back(
    message: dict[str, object], stored: str
) -> None:
    book = Book()
    messages = MessageJudge(
        partial(judge, accepted_types=("retrieve",), longest=1000), book.accept, book.refuse
    )
    with pytest.raises(NotStored) as held:
        messages.judge_and_store(json.dumps(message).encode())
    assert held.value.job_id == "job-1"
    book.away = False
    held.value.store()
    assert book.stored == [stored]


def test_a_refusal_is_stored_before_its_message_is_done_with() -> None:
    book = Book()
    book.away = False
    messages = MessageJudge(
        partial(judge, accepted_types=("retrieve",), longest=1000), book.accept, book.refuse
    )
    assert isinstance(messages.judge_and_store(json.dumps(BAD).encode()), Refused)
    assert book.stored == ["refused job-1: The job names no dataset"]
