"""What the errors say of repetitions fits the settings and the steps."""

from typing import Any

import pytest
from pydantic import BaseModel

from scicat_retriever.domain import errors
from scicat_retriever.domain.errors import RetrieverError, concrete_errors
from scicat_retriever.settings import Settings
from scicat_retriever.workflow.flows.tasks import FlowLimits

ENDLESS = {errors.BrokerUnavailable}
"""Errors of what is waited for as long as it takes: SciCat's messages are safe in the broker meanwhile."""

ALL = pytest.mark.parametrize("kind", list(concrete_errors()), ids=lambda kind: kind.code)


def setting(path: str) -> Any:
    """Give the field of a dotted path; KeyError if there is none."""
    section: Any = Settings
    *sections, name = path.split(".")
    for part in sections:
        section = section.model_fields[part].annotation
        assert issubclass(section, BaseModel)
    return section.model_fields[name]


@ALL
def test_an_error_that_is_tried_again_names_what_ends_that(kind: type[RetrieverError]) -> None:
    assert bool(kind.limits) == (kind.retryable and kind not in ENDLESS)


@ALL
def test_each_limit_is_a_setting(kind: type[RetrieverError]) -> None:
    assert all(setting(path).description for path in kind.limits)


@ALL
def test_each_limit_is_one_that_flows_go_by(kind: type[RetrieverError]) -> None:
    known = {f"flow.{name}" for name in FlowLimits.__dataclass_fields__}
    assert set(kind.limits) <= known
