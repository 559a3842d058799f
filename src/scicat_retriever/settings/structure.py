"""The structure of the settings: which of their keys are sections, and of which kinds these may be."""

from __future__ import annotations

from collections.abc import Iterable
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo


def is_section(field: FieldInfo) -> bool:
    """Say whether a field of the settings is a section, with keys of its own."""
    return bool(sections_of(field))


def sections_of(field: FieldInfo) -> tuple[type[BaseModel], ...]:
    """Give the models of a section, also of one that may be left out; none for a plain field.

    There are several where the section has several kinds.
    """
    return _models_in(field.annotation)


def named_sections_of(field: FieldInfo) -> tuple[type[BaseModel], ...]:
    """Give the models of each section in a table of sections by name; none for any other field."""
    return _models_in(get_args(field.annotation)[1]) if get_origin(field.annotation) is dict else ()


def listed_sections_of(field: FieldInfo) -> tuple[type[BaseModel], ...]:
    """Give the models of each section in a list of sections (`[[api.token]]`); none for any other field."""
    return _models_in(get_args(field.annotation)[0]) if get_origin(field.annotation) is tuple else ()


def keys_of(models: Iterable[type[BaseModel]]) -> dict[str, FieldInfo]:
    """Give the keys that a section has in any of its kinds."""
    return {name: field for model in models for name, field in model.model_fields.items()}


def kinds_of(models: Iterable[type[BaseModel]]) -> tuple[str, ...]:
    """Give the kinds that a section may be of, in the order of its models."""
    fields = (model.model_fields.get("kind") for model in models)
    return tuple(
        kind for field in fields if field is not None for kind in map(str, get_args(field.annotation))
    )


def default_of(models: Iterable[type[BaseModel]]) -> type[BaseModel] | None:
    """Give the model that a section of several kinds has where its `kind` is not set."""
    return next((model for model in models if not model.model_fields["kind"].is_required()), None)


def _models_in(annotation: Any) -> tuple[type[BaseModel], ...]:  # noqa: ANN401 - an annotation may be anything
    origin = get_origin(annotation)
    if origin is Annotated:
        return _models_in(get_args(annotation)[0])
    if origin in {Union, UnionType}:
        return tuple(model for each in get_args(annotation) for model in _models_in(each))
    is_model = isinstance(annotation, type) and origin is None and issubclass(annotation, BaseModel)
    return (annotation,) if is_model else ()
