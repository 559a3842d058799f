"""What is wrong with settings, told to their writer: each key by its name in the file, with what to do.

A message of a section's validator that begins with one of its keys in backticks is about that key. No value
is ever repeated, for it may be a secret.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from scicat_retriever.settings.structure import (
    default_of,
    keys_of,
    kinds_of,
    listed_sections_of,
    named_sections_of,
    sections_of,
)

_OF_KEY = re.compile(r"`([\w.-]+)` (.*)", re.DOTALL)
_SIZES = ("bytes", "size", "quota")
"""Words in the names of keys that hold bytes."""


@dataclass(frozen=True, slots=True)
class _Place:
    """Where in the settings a problem is.

    Attributes:
        steps: The names on the way there.
        field: The setting that is declared there; None where none is.
        models: The kinds of section that may stand there; none where it is a plain key.
        holder: The kinds of section that may stand one step above.
        kind: The kind of that section above, where there are several; else empty.
    """

    steps: tuple[str, ...]
    field: FieldInfo | None
    models: tuple[type[BaseModel], ...]
    holder: tuple[type[BaseModel], ...]
    kind: str

    @property
    def key(self) -> str:
        """Its name in the file."""
        return ".".join(self.steps)

    @property
    def is_of_default_kind(self) -> bool:
        """Whether the section above is of the kind that it has where no kind is set."""
        default = default_of(self.holder) if self.kind else None
        return default is not None and self.kind in kinds_of([default])

    @property
    def kinds_that_have_it(self) -> tuple[str, ...]:
        """The kinds of the section above that have a key of this name."""
        return kinds_of(model for model in self.holder if self.steps[-1] in model.model_fields)


def explain(error: ValidationError, settings: type[BaseModel], prefix: str) -> str:
    """Write what is wrong with the settings, a line for each key.

    Args:
        error: The error of pydantic.
        settings: The model of all settings.
        prefix: The beginning of the names of environment variables.
    """
    problems = [(problem, _place_of(problem["loc"], settings)) for problem in error.errors(include_url=False)]
    # Where the kind is not set, what the default kind lacks is no mistake: another kind was meant.
    meant_other = {
        place.steps[:-1]
        for problem, place in problems
        if problem["type"] == "extra_forbidden" and place.is_of_default_kind and place.kinds_that_have_it
    }
    lines = [
        f"  {_complaint(place, problem['type'], problem['msg'], problem['input'], prefix)}"
        for problem, place in problems
        if (problem["type"] != "missing" or place.steps[:-1] not in meant_other)
        and not (problem["type"] == "too_short" and _is_told_within(problem["loc"], problems))
    ]
    return "\n".join(["the settings cannot be used:", *lines])


def _is_told_within(location: Sequence[int | str], problems: Sequence[tuple[ErrorDetails, _Place]]) -> bool:
    """Say whether something in a list is wrong: pydantic then counts it as missing, too."""
    length = len(location)
    return any(each["loc"][:length] == location and len(each["loc"]) > length for each, _ in problems)


def _place_of(location: Sequence[int | str], settings: type[BaseModel]) -> _Place:
    """Find a place by pydantic's name for it, which has the kinds of sections between the keys."""
    steps, field = list[str](), None
    models: tuple[type[BaseModel], ...] = (settings,)
    holder: tuple[type[BaseModel], ...] = ()
    named: tuple[type[BaseModel], ...] = ()
    kind = of_kind = ""
    for part in map(str, location):
        if part == "[key]":  # it is the name itself that is wrong
            break
        if not kind and len(models) > 1 and part in kinds_of(models):
            kind = part
            continue
        holder, of_kind, kind = models, kind, ""
        steps.append(part)
        if named:
            field, models, named = None, named, ()
            continue
        field = keys_of(each for each in holder if not of_kind or of_kind in kinds_of([each])).get(part)
        models = () if field is None else sections_of(field)
        named = () if field is None else named_sections_of(field) or listed_sections_of(field)
    return _Place(tuple(steps), field, models, holder, of_kind)


def _complaint(place: _Place, problem: str, message: str, given: Any, prefix: str) -> str:  # noqa: ANN401 - anything
    match problem:
        case "missing":
            return _missing_section(place, prefix) if place.models else _missing(place, prefix)
        case "extra_forbidden":
            return _unknown(place)
        case "union_tag_invalid" | "union_tag_not_found" | "model_type" | "model_attributes_type":
            return _no_section(place, given)
        case "int_parsing" | "int_type" | "int_from_float" | "int_parsing_size":
            is_size = any(word in step for step in place.steps[1:] for word in _SIZES)
            what = "number of bytes, such as 10_000_000_000_000" if is_size else "whole number"
            return f"{place.key} must be a {what}"
        case "float_parsing" | "float_type":
            return f"{place.key} must be a number; durations are seconds"
        case "tuple_type" if place.field is not None and listed_sections_of(place.field):
            return f"{place.key} is a list of sections: write [[{place.key}]] above each"
        case "string_pattern_mismatch" if place.field is not None and place.field.description:
            return f"{place.key}: {message} ({place.field.description.split('. ')[0].rstrip('.')})"
    message = message.removeprefix("Value error, ").replace("valid tuple", "list")
    if (place.models or not place.steps) and (about := _OF_KEY.fullmatch(message)):
        return f"{'.'.join((*place.steps, about[1]))} {about[2]}"
    return f"{place.key}: {message}" if place.steps else message


def _missing(place: _Place, prefix: str) -> str:
    # No variable names a place in a list.
    whole = next((number for number, step in enumerate(place.steps) if step.isdecimal()), len(place.steps))
    variable = _variable(place.steps[:whole], prefix)
    return f"{place.key} is missing: set it in retriever.toml, or {variable} in the environment"


def _missing_section(place: _Place, prefix: str) -> str:
    several = len(place.models) > 1
    model = (default_of(place.models) if several else None) or place.models[0]
    first = [name for name, field in model.model_fields.items() if field.is_required()]
    if first:
        variables = _listed([_variable((*place.steps, name), prefix) for name in first], "and")
        advice = f"set {_listed(first, 'and')} in it, or {variables} in the environment"
    else:
        advice = f"set at least one of {_listed(list(model.model_fields), 'or')} in it"
    if several:
        own = kinds_of([model])
        others = [kind for kind in kinds_of(place.models) if kind not in own]
        advice += f"; it is of kind {own[0]} unless you set kind to {_listed(others, 'or')}"
    return f"the section [{place.key}] is missing: {advice}"


def _unknown(place: _Place) -> str:
    if not place.kind:
        return f"{place.key} is no setting: remove it, or correct its name"
    kind = f"{place.kind} (the default)" if place.is_of_default_kind else place.kind
    others = place.kinds_that_have_it
    advice = (
        f"set kind to {_listed(others, 'or')}, or remove it" if others else "remove it, or correct its name"
    )
    return f"{place.key} is no setting of kind {kind}: {advice}"


def _no_section(place: _Place, given: Any) -> str:  # noqa: ANN401 - a setting may hold anything
    kinds = kinds_of(place.models) if len(place.models) > 1 else ()
    if not kinds:
        return f"{place.key} is a section: write its keys below [{place.key}]"
    if isinstance(given, dict):
        return f"{place.key}.kind must be {_listed(kinds, 'or')}"
    if isinstance(given, str) and given in kinds:
        return f'{place.key} is a section: write {{ kind = "{given}" }}'
    return f"{place.key} is a section: write {{ kind = ... }}, which must be {_listed(kinds, 'or')}"


def _variable(steps: Sequence[str], prefix: str) -> str:
    return prefix + "__".join(step.upper() for step in steps)


def _listed(words: Sequence[str], before_last: str) -> str:
    return f" {before_last} ".join(filter(None, (", ".join(words[:-1]), words[-1])))
