"""The one tree of settings: `retriever.toml`, overridden by `RETRIEVER_<SECTION>__<KEY>` in the environment.

An unknown or a missing key stops the start with a message that names it. Durations are seconds, sizes are bytes.
"""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PositiveFloat,
    PositiveInt,
    SecretStr,
    ValidationError,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from scicat_retriever.catalogue.settings import ScicatSettings
from scicat_retriever.storage.lts.posix_share import PosixShareSettings
from scicat_retriever.storage.staging.directory import DirectoryStagingSettings

ENVIRONMENT_PREFIX = "RETRIEVER_"
CONFIG_VARIABLE = ENVIRONMENT_PREFIX + "CONFIG"
DAY = 86400.0


class SettingsInvalid(Exception):
    """The settings cannot be used; the message names each key and says what is wrong with it."""


class Section(BaseModel):
    """A part of the settings: unknown keys are refused, values never change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


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
    def _tokens_are_long_enough(self) -> Self:
        if any(len(token.get_secret_value()) < 16 for token in self.tokens):
            raise ValueError("each of `tokens` must have at least 16 characters")
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
        None, description="Port of the own engine's web page; without it there is no page."
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
        64, description="Datablocks of one dataset that wait or are copied at once."
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
    catalogue_timeout: PositiveFloat = Field(
        1 * DAY, description="How long reading from SciCat is tried again."
    )
    report_timeout: PositiveFloat = Field(14 * DAY, description="How long telling SciCat is tried again.")
    space_timeout: PositiveFloat = Field(1 * DAY, description="How long a datablock waits for staging space.")
    appear_timeout: PositiveFloat = Field(
        600.0, description="How long to look for an archive that the long-term store does not have."
    )
    recall_timeout: PositiveFloat = Field(
        2 * DAY, description="How long a datablock waits for its recall from tape."
    )
    stall_timeout: PositiveFloat = Field(300.0, description="How long a read may give no byte.")
    transfer_timeout: PositiveFloat = Field(
        1 * DAY, description="How long copying one datablock may take in all."
    )
    transfer_attempts: PositiveInt = Field(
        4, description="How often a copy is tried that fails by an I/O error."
    )
    job_timeout: PositiveFloat = Field(30 * DAY, description="How long a whole job may take.")
    backoff_initial: PositiveFloat = Field(1.0, description="Pause before the first repetition.")
    backoff_maximum: PositiveFloat = Field(300.0, description="Longest pause between repetitions.")
    poll_initial: PositiveFloat = Field(
        1.0, description="Pause before asking again for a recall or for space."
    )
    poll_maximum: PositiveFloat = Field(120.0, description="Longest pause between such questions.")


class LinkSettings(Section):
    """Download links."""

    lifetime: PositiveFloat = Field(7 * DAY, description="How long a link is valid.")
    retention: PositiveFloat = Field(
        8 * DAY, description="How long a staged datablock is kept; not shorter than a link's lifetime."
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

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Let the environment win over the file."""
        del settings_cls, dotenv_settings, file_secret_settings
        return env_settings, init_settings

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
        overrides: Top-level keys that win over the file (the command line's options).

    Raises:
        SettingsInvalid: The file cannot be read, or a key is unknown, missing or wrong; the message names each.
    """
    _refuse_unknown_variables()
    values: dict[str, Any] = {**_read_toml(path), **overrides}
    try:
        return Settings(**values)
    except ValidationError as error:
        raise SettingsInvalid(_explain(error)) from None
    except ValueError as error:  # an environment variable that should be JSON and is not
        raise SettingsInvalid(f"the environment cannot be read: {error}") from None


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


def _refuse_unknown_variables() -> None:
    known = {ENVIRONMENT_PREFIX + name.upper() for name in Settings.model_fields} | {CONFIG_VARIABLE}
    for variable in os.environ:
        if variable.upper().startswith(ENVIRONMENT_PREFIX) and variable.upper().split("__")[0] not in known:
            raise SettingsInvalid(f"the environment variable {variable} names no setting")


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
