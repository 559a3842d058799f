"""How to reach a tape system that speaks the WLCG Tape REST API v1, and WebDAV beside it."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Annotated, Literal, Self
from urllib.parse import quote

from pydantic import (
    AfterValidator,
    AnyHttpUrl,
    Field,
    PositiveFloat,
    field_validator,
    model_validator,
)

from scicat_retriever.section import BearerToken
from scicat_retriever.storage.lts.paths.settings import TemplateText
from scicat_retriever.storage.lts.store_kind import StoreKeys
from scicat_retriever.storage.lts.wlcg.addresses import TapeAddresses, is_loopback, named_place


def _plain(url: AnyHttpUrl) -> AnyHttpUrl:
    if url.username or url.password:
        raise ValueError("must hold no user name or password")
    if url.query or url.fragment:
        raise ValueError("must end before any '?' or '#'")
    return url


def _absolute(path: PurePosixPath) -> PurePosixPath:
    if path.root != "/" or ".." in path.parts:
        raise ValueError("must be an absolute path without '..'")
    return path


Root = Annotated[PurePosixPath, AfterValidator(_absolute)]
Url = Annotated[AnyHttpUrl, AfterValidator(_plain)]
Seconds = Annotated[float, Field(gt=0, le=86400)]


class WlcgTapeSettings(StoreKeys):
    """A tape system with the WLCG Tape REST API v1 (dCache, StoRM, EOS with CTA)."""

    kind: Literal["wlcg_tape"] = Field(
        description="A tape system with the WLCG Tape REST API v1: dCache, StoRM, EOS with CTA."
    )
    url: Url = Field(
        description="The storage's address, such as `https://door.example.org:2880`; below it, "
        "`/.well-known/wlcg-tape-rest-api` says where the API is."
    )
    api_url: Url | None = Field(
        None,
        description="The API's own address, such as `https://tape.example.org:3880/api/v1/tape`; without it, it is "
        "asked for at `url`.",
    )
    root_path: Root = Field(
        description="The folder of the archives, as the API names it. No archiveId leads out of it, so that a catalogue "
        "entry reaches nothing else that the account may read."
    )
    read_url: Url | None = Field(
        None,
        description="The address of the same folder over WebDAV, where the archives are read; without it, `root_path` at "
        "`url`.",
    )
    path_template: TemplateText = Field(
        "{archive_id}",
        description="Path of an archive below `root_path`, from its archiveId. Slices are allowed: "
        "`{archive_id[0:2]}/{archive_id}.tar`. An absolute archiveId is taken as the path itself.",
    )
    catalogued_root: Root | None = Field(
        None, description="What absolute archiveIds begin with, if that is not `root_path`."
    )
    token: BearerToken | None = Field(None, description="The bearer token.")
    token_file: Path | None = Field(
        None,
        description="A file with the bearer token; read anew when it changes, so that it can be renewed.",
    )
    token_hosts: tuple[str, ...] = Field(
        (),
        description="Hosts that get the token beside the addresses of `url`, `api_url` and `read_url`: an API or a disk "
        "server that these send the service to. `host:port`, or `host` alone for any port of it; over https only.",
    )
    redirect_hosts: tuple[str, ...] | None = Field(
        None,
        description="Hosts that the storage may send the service to beside those of `url`, `api_url`, `read_url` and "
        "`token_hosts`: the disk servers of redirected downloads, and an API that it names. Written as `token_hosts`. Without "
        "it, any host that is not the service's own machine or link; with an empty list, no other.",
    )
    certificate: Path | None = Field(
        None,
        description="A file with an X.509 certificate or proxy to log in with; read anew when it changes.",
    )
    key: Path | None = Field(
        None, description="The file with its key, not encrypted; without it, the key is in `certificate`."
    )
    ca_file: Path | None = Field(
        None,
        description="The CA certificates to trust: a file, or a folder with hashed names such as "
        "`/etc/grid-security/certificates`; without it, those of the system.",
    )
    disk_lifetime: int = Field(
        2 * 86400, ge=60, description="How long a recalled archive is asked to be kept on disk."
    )
    ask_again_after: PositiveFloat = Field(
        86400.0,
        description="How long after a recall was asked for the archive counts as on its way though nothing is to be seen, "
        "where the server gives no states (EOS).",
    )
    batch: int = Field(100, ge=1, le=1000, description="Most archives named in one request.")
    parallel_requests: int = Field(8, ge=1, le=64, description="Requests sent at the same time.")
    connect_timeout: Seconds = Field(10.0, description="How long a connection may take.")
    answer_timeout: Seconds = Field(60.0, description="How long the API may take to answer for one batch.")
    read_timeout: Seconds = Field(
        300.0, description="How long the storage may be silent while an archive is read."
    )

    @field_validator("token_hosts", "redirect_hosts")
    @classmethod
    def _hosts(cls, value: tuple[str, ...] | None) -> tuple[str, ...] | None:
        for host in value or ():
            named_place(host)
        return value

    @model_validator(mode="after")
    def _one_way_to_log_in(self) -> Self:
        if self.token is not None and self.token_file is not None:
            raise ValueError("set `token` or `token_file`, not both")
        if self.key is not None and self.certificate is None:
            raise ValueError("`key` goes with `certificate`")
        return self

    @model_validator(mode="after")
    def _token_is_kept_secret(self) -> Self:
        if self.token is None and self.token_file is None:
            return self
        for key, url in (("url", self.url), ("api_url", self.api_url), ("read_url", self.read_url)):
            if url is not None and url.scheme == "http" and not is_loopback(url.host or ""):
                raise ValueError(
                    f"`{key}` must begin with https://: a token may be sent over https only (RFC 6750, 5.2)"
                )
        return self

    @property
    def reading_root(self) -> str:
        """The address of the archives' folder over WebDAV, without a slash at its end."""
        if self.read_url is not None:
            return str(self.read_url).rstrip("/")
        return str(self.url).rstrip("/") + quote(str(self.root_path)).rstrip("/")

    @property
    def addresses(self) -> TapeAddresses:
        """Where the token may be sent, and where a server may lead the service."""
        named = [str(url) for url in (self.url, self.api_url, self.read_url) if url is not None]
        return TapeAddresses(named, self.token_hosts, self.redirect_hosts)
