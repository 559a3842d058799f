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

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PositiveInt,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from scicat_retriever.broker.settings import BrokerSettings
from scicat_retriever.catalogue.settings import ScicatSettings, is_bearer_token
from scicat_retriever.onepass.checksums import ChecksumAlgorithm
from scicat_retriever.onepass.errors import UnknownChecksumAlgorithm
from scicat_retriever.storage.lts.posix_share import PosixShareSettings
from scicat_retriever.storage.staging.directory import DirectoryStagingSettings

ENVIRONMENT_PREFIX = "RETRIEVER_"
CONFIG_VARIABLE = ENVIRONMENT_PREFIX + "CONFIG"
DAY = 86400.0
Seconds = Annotated[float, Field(gt=0, le=3650 * DAY)]


class SettingsInvalid(Exception):
    """The settings cannot be used; the message names each key and says what is wrong with it."""


class Section(BaseModel):
    """A part of the settings: unknown keys are refused, values never change."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class ApiSettings(Section):
    """The HTTP interface."""

    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: int = Field(8080, ge=1, le=65535, description="Port to listen on.")
    public_url: str | None = Field(
        None,
        pattern=r"^https?://[^\s?#]+$",
        description="The URL under which scientists reach the service; download links begin with it. "
        "Without it: http://host:port.",
    )
    tokens: tuple[SecretStr, ...] = Field(
        min_length=1,
        description="Bearer tokens that may post jobs and read their status; SciCat's `url` action sends one. "
        "Several allow changing one without a gap.",
    )
    max_body_bytes: PositiveInt = Field(32 * 2**20, description="Largest job accepted, bytes.")

    @model_validator(mode="after")
    def _tokens_are_usable(self) -> Self:
        tokens = [token.get_secret_value() for token in self.tokens]
        if any(len(token) < 16 or not is_bearer_token(token) for token in tokens):
            raise ValueError("each of `tokens` must be one word of at least 16 printable ASCII characters")
        return self

    @model_validator(mode="after")
    def _links_can_be_followed(self) -> Self:
        if self.public_url is None and self.host in {"0.0.0.0", "::"}:  # noqa: S104 - compared, not listened on
            raise ValueError("`public_url` is needed with this `host`: links cannot begin with it")
        return self

    @property
    def base_url(self) -> str:
        """The URL that links begin with, without a slash at the end."""
        return (self.public_url or f"http://{self.host}:{self.port}").rstrip("/")


class EngineSettings(Section):
    """The workflow engine (Temporal)."""

    address: str | None = Field(
        None,
        pattern=r"^[^\s/:]+:\d+$",
        description="`host:port` of an existing Temporal. Without it `retriever serve` runs an engine of its own.",
    )
    namespace: str = Field("default", description="Temporal namespace.")
    task_queue: str = Field("retriever", description="Prefix of the task queues' names.")
    tls: bool = Field(False, description="Whether to speak TLS to the engine.")
    api_key: SecretStr | None = Field(None, description="API key for the engine, if it asks for one.")
    port: int = Field(0, ge=0, le=65535, description="Port of the service's own engine; 0 takes a free one.")
    ui_port: int | None = Field(
        None, ge=0, le=65535, description="Port of the own engine's web page; without it there is no page."
    )


class LedgerSettings(Section):
    """The database."""

    url: SecretStr | None = Field(
        None,
        description="`postgresql+psycopg://user:password@host/database`. Without it a SQLite file in the data folder.",
    )


class FlowSettings(Section):
    """How a retrieval runs: how much at once, how long to wait, and how to try again."""

    parallel_datasets: PositiveInt = Field(4, description="Datasets of one job that are retrieved at once.")
    parallel_datablocks: PositiveInt = Field(
        64,
        description="Datablocks of one dataset that wait or are copied at once; a batch of small ones counts as one.",
    )
    read_slots: PositiveInt = Field(
        4, description="Archives read from the long-term store at once, per worker."
    )
    verification_slots: PositiveInt = Field(1, description="Datasets verified at once, per worker.")
    missing_checksum: Literal["fail", "size_only"] = Field(
        "fail",
        description="What to do with files that the catalogue has no checksum of: fail, or compare sizes alone and "
        "say so in the result.",
    )
    unnamed_algorithm: str | None = Field(
        None, description="Checksum algorithm of datablocks that have checksums and no `chkAlg`."
    )
    check_packed_size: bool = Field(
        True,
        description="Whether an archive must have exactly the size that the catalogue says (`packedSize`). Its files "
        "are compared in any case.",
    )
    catalogue_timeout: Seconds = Field(1 * DAY, description="How long reading from SciCat is tried again.")
    report_timeout: Seconds = Field(
        14 * DAY,
        description="How long telling SciCat is tried again; after that it is parked until an operator asks for it.",
    )
    space_timeout: Seconds = Field(1 * DAY, description="How long a datablock waits for staging space.")
    appear_timeout: Seconds = Field(
        600.0, description="How long to look for an archive that the long-term store does not have."
    )
    recall_timeout: Seconds = Field(
        2 * DAY, description="How long a datablock waits for its recall from tape."
    )
    stall_timeout: Seconds = Field(
        300.0, description="How long a read may give no byte, or a write take none."
    )
    transfer_timeout: Seconds = Field(1 * DAY, description="How long copying one datablock may take in all.")
    transfer_attempts: PositiveInt = Field(
        4, description="How often a copy is tried that fails by an I/O error."
    )
    job_timeout: Seconds = Field(30 * DAY, description="How long a whole job may take.")
    reconcile_interval: Seconds = Field(
        60.0,
        description="How often open jobs in SciCat are compared with the ledger, and the ledger's with the engine's "
        "flows: a job that the service was not told of is found after at most two such times.",
    )
    backoff_initial: Seconds = Field(1.0, description="Pause before the first repetition.")
    backoff_maximum: Seconds = Field(300.0, description="Longest pause between repetitions.")
    poll_initial: Seconds = Field(1.0, description="Pause before asking again for a recall or for space.")
    poll_maximum: Seconds = Field(120.0, description="Longest pause between such questions.")

    @field_validator("unnamed_algorithm")
    @classmethod
    def _known(cls, value: str | None) -> str | None:
        try:
            return None if value is None else ChecksumAlgorithm.named(value)
        except UnknownChecksumAlgorithm as unknown:
            raise ValueError(f"{unknown}; known are {', '.join(ChecksumAlgorithm)}") from None


class LinkSettings(Section):
    """Download links."""

    lifetime: Seconds = Field(7 * DAY, description="How long a link is valid.")
    retention: Seconds = Field(
        8 * DAY, description="How long a staged datablock is kept; not shorter than a link's lifetime."
    )
    sweep_interval: Seconds = Field(
        300.0, description="How often staged datablocks whose retention is over are looked for and removed."
    )
    secret: SecretStr | None = Field(
        None,
        min_length=32,
        description="Key that signs the links, the same for all API processes. Without it one is made and kept in "
        "the data folder.",
    )

    @model_validator(mode="after")
    def _files_outlive_their_links(self) -> Self:
        if self.retention < self.lifetime:
            raise ValueError(
                "`retention` must not be shorter than `lifetime`: links would outlive their files"
            )
        return self


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
    lts: Annotated[PosixShareSettings, Field(description="The long-term store.")]
    staging: Annotated[DirectoryStagingSettings, Field(description="The staging area.")]
    engine: EngineSettings = EngineSettings()
    ledger: LedgerSettings = LedgerSettings()
    flow: FlowSettings = FlowSettings()
    links: LinkSettings = LinkSettings()
    broker: BrokerSettings | None = None

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
        if field is None or (keys and not is_section(field)):
            raise SettingsInvalid(f"the environment variable {variable} names no setting")
        for key in keys:
            field = _keys_of(field).get(key)
        if field is not None and (is_section(field) or get_origin(field.annotation) is tuple):
            _refuse_other_than_json(variable, value)


def is_section(field: FieldInfo) -> bool:
    """Say whether a field of the settings is a section, with keys of its own."""
    return section_of(field) is not None


def section_of(field: FieldInfo) -> type[BaseModel] | None:
    """Give the model of a section, also of one that may be left out; None for a plain field."""
    for kind in (field.annotation, *get_args(field.annotation)):
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            return kind
    return None


def _keys_of(field: FieldInfo | None) -> dict[str, FieldInfo]:
    model = None if field is None else section_of(field)
    return {} if model is None else model.model_fields


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
        steps = [str(step) for step in problem["loc"]]
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
                lines.append(f"  {key}: {problem['msg']}")
    return "\n".join(lines)
