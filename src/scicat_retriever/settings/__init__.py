"""The one tree of settings: `retriever.toml`, overridden by `RETRIEVER_<SECTION>__<KEY>` in the environment.

An unknown or a missing key stops the start with a message that names it. Durations are seconds, sizes are bytes.
"""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args, get_origin

from pydantic import BaseModel, Field, ValidationError, model_validator
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from scicat_retriever.broker.settings import BrokerSettings
from scicat_retriever.catalogue.settings import ScicatSettings
from scicat_retriever.settings.sections import (
    ApiSettings,
    CacheSettings,
    EngineSettings,
    FlowSettings,
    LedgerSettings,
    LinkSettings,
    StagingSettings,
)
from scicat_retriever.settings.stores import (
    CommandedStore,
    PosixStore,
    S3GlacierStore,
    StoreName,
    StoreSettings,
    WlcgTapeStore,
)
from scicat_retriever.storage.staging.s3_settings import S3StagingSettings

ENVIRONMENT_PREFIX = "RETRIEVER_"
CONFIG_VARIABLE = ENVIRONMENT_PREFIX + "CONFIG"


class SettingsInvalid(Exception):
    """The settings cannot be used; the message names each key and says what is wrong with it."""


class Settings(BaseSettings):
    """All settings of the service."""

    model_config = SettingsConfigDict(
        env_prefix=ENVIRONMENT_PREFIX,
        env_nested_delimiter="__",
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
        nested_model_default_partial_update=True,
    )

    data: Path = Field(
        Path("retriever-data"), description="Folder of the service's own files: ledger, engine, keys, logs."
    )
    job_types: tuple[str, ...] = Field(
        ("retrieve",), min_length=1, description="SciCat job types that this service carries out."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least level logged.")
    api: ApiSettings
    catalogue: ScicatSettings
    lts: Annotated[StoreSettings, Field(description="The long-term store.")]
    stores: dict[StoreName, StoreSettings] = Field(
        {}, description="Further long-term stores, by their names: `[stores.NAME]` has the keys of `[lts]`."
    )
    staging: Annotated[StagingSettings, Field(description="The staging area.")]
    engine: EngineSettings = EngineSettings()
    ledger: LedgerSettings = LedgerSettings()
    flow: FlowSettings = FlowSettings()
    links: LinkSettings = LinkSettings()
    cache: CacheSettings = CacheSettings()
    broker: BrokerSettings | None = None

    @model_validator(mode="after")
    def _downloads_outlive_eviction(self) -> Self:
        s3 = self.staging if isinstance(self.staging, S3StagingSettings) else None
        if s3 is not None and s3.downloads == "redirect" and self.cache.spared < s3.url_lifetime:
            raise ValueError(
                "`cache.spared` must not be shorter than `staging.url_lifetime`: URLs would lead to what is gone"
            )
        return self

    @model_validator(mode="after")
    def _stores_fit_together(self) -> Self:
        stores = self.all_stores
        if "lts" in self.stores:
            raise ValueError("`stores.lts` is the store of the section [lts]: give it another name")
        named: dict[str, str] = {}
        for name, store in stores.items():
            for location in store.locations:
                if location in named:
                    raise ValueError(
                        f"the location {location!r} stands twice among the `locations` of stores"
                    )
                named[location] = name
            seen, copy = {name}, store.other_copy
            while copy is not None:
                if copy not in stores:
                    raise ValueError(f"`other_copy` of {name} names {copy!r}, which is no store")
                if copy == name:
                    raise ValueError(f"the `other_copy` of {name} leads in a circle")
                if copy in seen:
                    break  # a circle, of which others are told
                seen.add(copy)
                copy = stores[copy].other_copy
        return self

    @property
    def all_stores(self) -> dict[str, PosixStore | S3GlacierStore | WlcgTapeStore | CommandedStore]:
        """All long-term stores by name: `lts`, and those of `[stores.NAME]`."""
        return {"lts": self.lts, **self.stores}

    @property
    def ledger_url(self) -> str:
        """The ledger's database URL, for SQLAlchemy. Holds a password: never print it."""
        if self.ledger.url is not None:
            return self.ledger.url.get_secret_value()
        return f"sqlite:///{self.data.absolute() / 'ledger.sqlite'}"


def load_settings(path: Path | None = None, **overrides: object) -> Settings:
    """Read the settings from a TOML file and the environment.

    Args:
        path: The file; None reads `retriever.toml` in the working folder, if it is there.
        overrides: Top-level keys that win over both (the command line's options).

    Raises:
        SettingsInvalid: The file cannot be read, or a key is unknown, missing or wrong; the message names each.
    """
    _check_variables()
    settings_of_file = _settings_of(_read_toml(path))
    try:
        return settings_of_file(**overrides)
    except ValidationError as error:
        raise SettingsInvalid(_explain(error)) from None


def _settings_of(file_values: dict[str, Any]) -> Callable[..., Settings]:
    """Give what makes the settings: its keywords win over the environment, which wins over the file."""

    class LayeredSettings(Settings):
        @classmethod
        def settings_customise_sources(
            cls,
            settings_cls: type[BaseSettings],
            init_settings: PydanticBaseSettingsSource,
            env_settings: PydanticBaseSettingsSource,
            dotenv_settings: PydanticBaseSettingsSource,
            file_secret_settings: PydanticBaseSettingsSource,
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            del dotenv_settings, file_secret_settings
            return init_settings, env_settings, InitSettingsSource(settings_cls, file_values)

    return LayeredSettings


def _read_toml(path: Path | None) -> dict[str, Any]:
    file = path or Path("retriever.toml")
    if path is None and not file.exists():
        return {}
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsInvalid(f"{file} cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsInvalid(f"{file} is not valid TOML: {error}") from None


def _check_variables() -> None:
    """Refuse what pydantic-settings would pass over, or could not name."""
    for variable, value in os.environ.items():
        name = variable.upper()
        if not name.startswith(ENVIRONMENT_PREFIX) or name == CONFIG_VARIABLE:
            continue
        top, *keys = name.removeprefix(ENVIRONMENT_PREFIX).lower().split("__")
        field = Settings.model_fields.get(top)
        if top == "stores" and len(keys) > 1:
            # All of them have the keys of the first one, below their names.
            field, keys = Settings.model_fields["lts"], keys[1:]
        if field is None or (keys and not is_section(field)):
            raise SettingsInvalid(f"the environment variable {variable} names no setting")
        for key in keys:
            field = _keys_of(field).get(key)
        if field is not None and (is_section(field) or get_origin(field.annotation) in (tuple, dict)):
            _refuse_other_than_json(variable, value)


def is_section(field: FieldInfo) -> bool:
    """Say whether a field of the settings is a section, with keys of its own."""
    return bool(sections_of(field))


def sections_of(field: FieldInfo) -> tuple[type[BaseModel], ...]:
    """Give the models of a section, several where it has kinds, also of one that may be left out; none for a plain field."""
    kinds = (_bare(kind) for kind in (field.annotation, *get_args(field.annotation)))
    return tuple(kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel))


def _bare(kind: Any) -> Any:  # noqa: ANN401 - an annotation may be anything
    return get_args(kind)[0] if get_origin(kind) is Annotated else kind


def _keys_of(field: FieldInfo | None) -> dict[str, FieldInfo]:
    models = () if field is None else sections_of(field)
    return {name: key for model in models for name, key in model.model_fields.items()}


def _refuse_other_than_json(variable: str, value: str) -> None:
    try:
        json.loads(value)
    except ValueError:
        raise SettingsInvalid(
            f'the environment variable {variable} must be JSON, such as ["one", "two"]'
        ) from None


def _explain(error: ValidationError) -> str:
    lines = ["the settings cannot be used:"]
    for problem in error.errors(include_url=False, include_context=False, include_input=False):
        steps = _steps_to(problem["loc"])
        key = ".".join(steps) or "(all)"
        variable = ENVIRONMENT_PREFIX + "__".join(step.upper() for step in steps)
        match problem["type"]:
            case "missing":
                lines.append(
                    f"  {key} is missing: set it in retriever.toml, or {variable} in the environment"
                )
            case "extra_forbidden":
                lines.append(f"  {key} is no setting: remove it, or correct its name")
            case _:
                message = problem["msg"].removeprefix("Value error, ").replace("valid tuple", "list")
                lines.append(f"  {key}: {message}")
    return "\n".join(lines)


def _steps_to(location: tuple[int | str, ...]) -> list[str]:
    """Give the names on the way to a key, without those of the kinds of sections, which pydantic puts in between."""
    steps: list[str] = []
    models: tuple[type[BaseModel], ...] = (Settings,)
    kinds: set[str] = set()
    for part in map(str, location):
        if part in kinds:
            kinds = set()
            continue
        steps.append(part)
        field = next((model.model_fields[part] for model in models if part in model.model_fields), None)
        if field is None:  # the name of one of many sections
            kinds = _kinds_of(models)
        elif get_origin(field.annotation) is dict:
            models, kinds = sections_of(Settings.model_fields["lts"]) if part == "stores" else (), set()
        else:
            models = sections_of(field)
            kinds = _kinds_of(models) if len(models) > 1 else set()
    return steps


def _kinds_of(models: tuple[type[BaseModel], ...]) -> set[str]:
    fields = (model.model_fields.get("kind") for model in models)
    return {str(kind) for field in fields if field is not None for kind in get_args(field.annotation)}
