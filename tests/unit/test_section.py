"""Sections of the settings that take over policies."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, get_args

import pytest
from pydantic import BaseModel, ValidationError

from scicat_retriever.domain.policy import NotNegative, Positive, Seconds, choice
from scicat_retriever.section import Section
from scicat_retriever.settings import Settings


@dataclass(frozen=True)
class Waiting:
    longest: Seconds = choice(10.0, "How long is waited.")
    shares: dict[str, NotNegative] = choice({}, "Who may wait how often.")


@dataclass(frozen=True)
class Trying:
    least: Positive = choice(1, "Fewest tries.")
    most: Positive = choice(3, "Most tries.")

    def __post_init__(self) -> None:
        if self.least > self.most:
            raise ValueError("`least` must not be above `most`")


class Both(Section, Trying, Waiting):
    """Two policies, and a key of its own."""

    own: bool = False


def test_a_policy_has_its_defaults_without_any_settings() -> None:
    assert (Waiting().longest, Waiting().shares, Trying().most) == (10.0, {}, 3)


def test_a_section_has_the_choices_of_its_policies_with_their_defaults_and_meanings() -> None:
    section = Both()
    assert (section.longest, section.shares, section.least, section.own) == (10.0, {}, 1, False)
    assert Both.model_fields["longest"].description == "How long is waited."
    assert Both.model_fields["shares"].default == {}
    assert isinstance(section, Waiting)
    assert isinstance(section, Trying)


@pytest.mark.parametrize(
    ("given", "at"),
    [
        ({"longest": 0}, ("longest",)),
        ({"longest": 3651 * 86400.0}, ("longest",)),
        ({"least": 0}, ("least",)),
        ({"shares": {"a": -1}}, ("shares", "a")),
        ({"shortest": 1}, ("shortest",)),
        ({"least": 6}, ()),
    ],
)
def test_a_section_refuses_what_its_policies_do(given: dict[str, Any], at: tuple[str, ...]) -> None:
    with pytest.raises(ValidationError) as refused:
        Both.model_validate(given)
    assert [each["loc"] for each in refused.value.errors()] == [at]


def test_defaults_are_not_shared() -> None:
    Waiting().shares["a"] = 1
    assert Waiting().shares == {}
    assert Both().shares == {}


def parts(of: object) -> Iterator[type[BaseModel]]:
    """Give the models that a type names, and those within them."""
    if isinstance(of, type) and issubclass(of, BaseModel):
        yield of
        for field in of.model_fields.values():
            yield from parts(field.annotation)
    for each in get_args(of):
        yield from parts(each)


def test_all_parts_of_the_settings_are_sections() -> None:
    found = {each for field in Settings.model_fields.values() for each in parts(field.annotation)}
    assert len(found) > 20
    assert {each.__name__ for each in found if not issubclass(each, Section)} == set()
