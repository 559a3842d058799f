"""Each step is declared once: flows ask for all of them, and workers have an activity for each, and no other."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from temporalio import activity

from scicat_retriever.domain.errors import (
    CatalogueForbidden,
    CatalogueUnavailable,
    RetrieverError,
    StagedFileMissing,
)
from scicat_retriever.workflow import flows
from scicat_retriever.workflow.flows.dataset_steps import DatasetSteps
from scicat_retriever.workflow.flows.declaration import (
    COPY_QUEUE,
    FLOW_QUEUE,
    VERIFY_QUEUE,
    Kind,
    Look,
    declaration_of,
    declared_in,
)
from scicat_retriever.workflow.flows.job_steps import JobSteps
from scicat_retriever.workflow.flows.looks import Looks
from scicat_retriever.workflow.steps.dataset_activities import DatasetActivities
from scicat_retriever.workflow.steps.job_activities import JobActivities
from scicat_retriever.workflow.steps.regular_looks import RegularLooks
from scicat_retriever.workflow.worker import QUEUES

DECLARED: dict[type, type] = {JobSteps: JobActivities, DatasetSteps: DatasetActivities, Looks: RegularLooks}
STEPS = [(declares, name, step) for declares in DECLARED for name, step in declared_in(declares)]


def name_of(value: object) -> str | None:
    return getattr(value, "__name__", None)


@pytest.mark.parametrize(("declares", "implements"), DECLARED.items(), ids=name_of)
def test_each_declared_step_is_implemented_and_nothing_else(declares: type, implements: type) -> None:
    declared = {name for name, _ in declared_in(declares)}
    public = {name for name in vars(implements) if not name.startswith("_")}
    assert public == declared
    assert not inspect.isabstract(implements)


@pytest.mark.parametrize(("declares", "name", "step"), STEPS, ids=name_of)
def test_a_step_takes_and_gives_what_is_declared(declares: type, name: str, step: Callable[..., Any]) -> None:
    body = getattr(DECLARED[declares], name)
    assert inspect.signature(body, eval_str=True) == inspect.signature(step, eval_str=True)


def test_no_two_steps_have_one_name() -> None:
    names = [declaration_of(step).name for _, _, step in STEPS]
    assert len(set(names)) == len(names)


def test_each_queue_that_a_step_names_has_workers() -> None:
    assert {declaration_of(step).kind.queue for _, _, step in STEPS} == set(QUEUES)
    assert set(QUEUES) == {FLOW_QUEUE, COPY_QUEUE, VERIFY_QUEUE}


def test_flows_of_schedules_take_looks_and_no_other_flow_does() -> None:
    of_schedules = {name for _, name, step in STEPS if isinstance(declaration_of(step).kind, Look)}
    assert of_schedules == {name for name, _ in declared_in(Looks)}
    assert all(isinstance(declaration_of(step).kind, Kind | Look) for _, _, step in STEPS)


def test_flows_ask_for_each_declared_step() -> None:
    text = "".join(file.read_text() for file in sorted(Path(*flows.__path__).glob("*.py")))
    unused = [name for declares, name, _ in STEPS if f"{declares.__name__}.{name}" not in text]
    assert unused == []


@pytest.mark.parametrize(
    ("error", "attempt", "is_final"),
    [
        (CatalogueForbidden("no"), 3, False),
        (CatalogueForbidden("no"), 4, True),
        (CatalogueUnavailable("away"), 99, False),
    ],
)
def test_a_missing_right_is_believed_at_the_fourth_attempt(
    error: RetrieverError, attempt: int, is_final: bool
) -> None:
    for step in (JobSteps.open_job, DatasetSteps.plan_dataset):
        assert declaration_of(step).is_final(error, attempt) is is_final


def test_what_is_not_there_to_be_published_is_not_published_at_another_attempt() -> None:
    assert declaration_of(DatasetSteps.publish_dataset).is_final(StagedFileMissing("gone"), 1)


def test_the_engine_knows_a_step_by_the_name_that_is_declared() -> None:
    for _, _, step in STEPS:
        definition = activity._Definition.must_from_callable(step)
        assert definition.name == declaration_of(step).name
