"""The one tree of settings: `retriever.toml`, overridden by `RETRIEVER_<SECTION>__<KEY>` in the environment.

An unknown or a missing key stops the start with a message that names it. Durations are seconds, sizes are
bytes.
"""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_origin
from urllib.parse import quote

from pydantic import Field, ValidationError, model_validator
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from scicat_retriever.broker.settings import BrokerSettings
from scicat_retriever.catalogue.settings import ScicatSettings
from scicat_retriever.http_api.settings import ApiSettings
from scicat_retriever.settings.complaints import explain
from scicat_retriever.settings.sections import (
    CacheSettings,
    EngineSettings,
    FlowSettings,
    LedgerSettings,
    LinkSettings,
)
from scicat_retriever.settings.stores import StoreName, section_of
from scicat_retriever.settings.structure import is_section, keys_of, named_sections_of, sections_of
from scicat_retriever.storage.lts.kinds import StoreSettings
from scicat_retriever.storage.staging.kinds import StagingSettings
from scicat_retriever.storage.staging.s3.settings import S3StagingSettings

__all__ = [
    "CONFIG_VARIABLE",
    "ENVIRONMENT_PREFIX",
    "OWN_ENGINE_VARIABLE",
    "Settings",
    "SettingsInvalid",
    "load_settings",
    "sections_of",
]
ENVIRONMENT_PREFIX = "RETRIEVER_"
CONFIG_VARIABLE = ENVIRONMENT_PREFIX + "CONFIG"
OWN_ENGINE_VARIABLE = ENVIRONMENT_PREFIX + "OWN_ENGINE"
"""Set by `retriever serve` alone, for a worker whose engine is the service's own. It is no setting."""


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
    def _stores_have_names_and_locations_of_their_own(self) -> Self:
        if "lts" in self.stores:
            raise ValueError("`stores.lts` is the store of the section [lts]: give it another name")
        named: dict[str, str] = {}
        for name, store in self.all_stores.items():
            for location in dict.fromkeys(store.locations):
                if location in named:
                    raise ValueError(
                        f"{location!r} is among the locations of [{named[location]}] and [{section_of(name)}]: "
                        "leave it in one"
                    )
                named[location] = section_of(name)
        return self

    @model_validator(mode="after")
    def _copies_are_elsewhere(self) -> Self:
        stores = self.all_stores
        for name, store in stores.items():
            way, copy = [name], store.other_copy
            while copy is not None and copy not in way[1:]:
                key = f"`{section_of(way[-1])}.other_copy`"
                if copy not in stores:
                    raise ValueError(f"{key} names {copy!r}, which is no store (known: {', '.join(stores)})")
                if copy == name:
                    raise ValueError(f"{key} leads in a circle ({', '.join([*way, copy])}): remove it")
                way.append(copy)
                copy = stores[copy].other_copy
        return self

    @property
    def all_stores(self) -> dict[str, StoreSettings]:
        """All long-term stores by name: `lts`, and those of `[stores.NAME]`."""
        return {"lts": self.lts, **self.stores}

    @property
    def ledger_url(self) -> str:
        """The ledger's database URL, for SQLAlchemy. Holds a password: never print it."""
        if self.ledger.url is not None:
            return self.ledger.url.get_secret_value()
        return f"sqlite:///{quote(os.fsencode(self.ledger_file))}"

    @property
    def ledger_file(self) -> Path:
        """The file of the ledger where no URL is set."""
        return self.data.absolute() / "ledger.sqlite"


def load_settings(path: Path | None = None, **overrides: object) -> Settings:
    """Read the settings from a TOML file and the environment.

    Args:
        path: The file; None reads `retriever.toml` in the working folder, if it is there.
        overrides: Top-level keys that win over both (the command line's options).

    Raises:
        SettingsInvalid: The file cannot be read, or a key is unknown, missing or wrong; the message names
            each.
    """
    _check_variables()
    settings_of_file = _settings_of(_read_toml(path))
    try:
        return settings_of_file(**overrides)
    except ValidationError as error:
        raise SettingsInvalid(explain(error, Settings, ENVIRONMENT_PREFIX)) from None


def _settings_of(file_values: dict[str, Any]) -> Callable[..., Settings]:
    """Give the maker of the settings: its keywords win over the environment, which wins over the file."""

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
    """Refuse variables that pydantic-settings would pass over, or could not name in its error."""
    for variable, value in os.environ.items():
        name = variable.upper()
        if not name.startswith(ENVIRONMENT_PREFIX) or name in {CONFIG_VARIABLE, OWN_ENGINE_VARIABLE}:
            continue
        top, *keys = name.removeprefix(ENVIRONMENT_PREFIX).lower().split("__")
        field = Settings.model_fields.get(top)
        sections = () if field is None else sections_of(field)
        if field is not None and (named := named_sections_of(field)) and len(keys) > 1:
            sections, keys = named, keys[1:]
        if field is None or (keys and not sections):
            raise SettingsInvalid(f"the environment variable {variable} names no setting")
        for key in keys:
            field = keys_of(sections).get(key)
            sections = () if field is None else sections_of(field)
        if field is not None and (is_section(field) or get_origin(field.annotation) in (tuple, dict)):
            _refuse_other_than_json(variable, value)


def _refuse_other_than_json(variable: str, value: str) -> None:
    try:
        json.loads(value)
    except ValueError:
        raise SettingsInvalid(
            f'the environment variable {variable} must be JSON, such as ["one", "two"]'
        ) from None
