"""Settings, written for people: those in effect, and the reference page of all settings."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from scicat_retriever.settings import ENVIRONMENT_PREFIX, Settings
from scicat_retriever.settings.structure import is_section, kinds_of, listed_sections_of, sections_of


def effective(settings: Settings) -> str:
    """Write the settings in effect as TOML, secrets hidden; a key that is not set is a comment."""
    values: dict[str, Any] = settings.model_dump(mode="json")
    plain = {key: value for key, value in values.items() if not isinstance(value, dict)}
    lines = [_line(key, value) for key, value in plain.items()]
    for section, keys in values.items():
        if isinstance(keys, dict):
            lines += ["", f"[{section}]", *(_line(key, value) for key, value in keys.items())]
    return "\n".join(lines) + "\n"


def _line(key: str, value: Any) -> str:  # noqa: ANN401 - whatever JSON holds
    if value is None:
        return f"# {key} is not set"
    return f"{key} = {_toml(value)}"


def _toml(value: Any) -> str:  # noqa: ANN401 - whatever JSON holds
    if isinstance(value, dict):
        pairs = (f"{_toml(key)} = {_toml(its)}" for key, its in value.items() if its is not None)
        return "{" + ", ".join(pairs) + "}"
    if isinstance(value, list):
        return f"[{', '.join(map(_toml, value))}]"
    # JSON's numbers, strings, booleans and lists of them are TOML's too, but for the character DEL.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def reference() -> str:
    """Write the reference page of all settings, in Markdown."""
    lines = [
        "# Settings",
        "",
        "`retriever.toml`, section by section. Each key may also be set in the environment, which wins:",
        f"`{ENVIRONMENT_PREFIX}<SECTION>__<KEY>`, lists as JSON. Durations are seconds, sizes are bytes. An unknown or",
        "a missing key stops the start with a message that names it. `retriever settings` prints those in effect.",
        "Changes take effect at the next start.",
    ]
    lines += ["", "## At the top", "", *_table(Settings)]
    described: set[type[BaseModel]] = set()
    for name, field in Settings.model_fields.items():
        if not _is_mapping(field):
            lines += _sections(name, field, described)
    return "\n".join(lines) + "\n"


def _sections(name: str, field: FieldInfo, described: set[type[BaseModel]]) -> Iterator[str]:
    """Describe a section, in each of its kinds, and the sections in it; each model once."""
    models = sections_of(field)
    for model in models:
        if model in described:
            continue
        described.add(model)
        kind = (
            f", kind `{'`, `'.join(kinds_of([model]))}`"
            if "kind" in model.model_fields and len(models) > 1
            else ""
        )
        about = (model.__doc__ or "").strip().split("\n")[0]
        yield from ("", f"## [{name}]{kind}", "", about, "", *_table(model))
    for model in models:
        for key, its in model.model_fields.items():
            yield from _sections(f"{name}.{key}", its, described)
            for listed in listed_sections_of(its):
                about = (listed.__doc__ or "").strip().split("\n")[0]
                yield from ("", f"## [[{name}.{key}]]", "", about, "", *_table(listed))


def _table(model: type[BaseModel]) -> Iterator[str]:
    yield "| key | default | meaning |"
    yield "| --- | --- | --- |"
    for name, field in model.model_fields.items():
        if model is not Settings or _is_mapping(field) or not is_section(field):
            meaning = (field.description or "").replace("|", "\\|").replace("\n", " ")
            yield f"| `{name}` | {_default(field)} | {meaning} |"


def _is_mapping(field: FieldInfo) -> bool:
    return get_origin(field.annotation) is dict


def _default(field: FieldInfo) -> str:
    if field.default is PydanticUndefined:
        return "required"
    if field.default is None:
        return "not set"
    if isinstance(field.default, BaseModel):
        return "its own section"
    value = list(field.default) if isinstance(field.default, tuple) else field.default
    return f"`{json.dumps(value, default=str)}`"
