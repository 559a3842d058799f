"""Settings for people: those in effect, and the reference page of all of them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from scicat_retriever.settings import ENVIRONMENT_PREFIX, Settings, is_section, sections_of


def effective(settings: Settings) -> str:
    """Write the settings in effect as TOML, secrets hidden; what is not set is a comment."""
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
        return "{" + ", ".join(f"{_toml(key)} = {_toml(its)}" for key, its in value.items()) + "}"
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
    ]
    lines += ["", "## At the top", "", *_table(Settings, sections=False)]
    for name, field in Settings.model_fields.items():
        for model in (models := sections_of(field)):
            kind = f", kind `{_kind_of(model)}`" if len(models) > 1 else ""
            about = (model.__doc__ or "").strip().split("\n")[0]
            lines += ["", f"## [{name}]{kind}", "", about, "", *_table(model, sections=True)]
    return "\n".join(lines) + "\n"


def _table(model: type[BaseModel], *, sections: bool) -> Iterator[str]:
    yield "| key | default | meaning |"
    yield "| --- | --- | --- |"
    for name, field in model.model_fields.items():
        if sections or not is_section(field):
            meaning = (field.description or "").replace("|", "\\|").replace("\n", " ")
            yield f"| `{name}` | {_default(field)} | {meaning} |"


def _kind_of(model: type[BaseModel]) -> str:
    return str(get_args(model.model_fields["kind"].annotation)[0])


def _default(field: FieldInfo) -> str:
    if field.default is PydanticUndefined:
        return "required"
    if field.default is None:
        return "not set"
    value = list(field.default) if isinstance(field.default, tuple) else field.default
    return f"`{json.dumps(value, default=str)}`"
