"""The links of a page to the manifest of files, to lists of checksums, and to their signatures."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import cached_property
from typing import TypedDict

from pydantic import BaseModel, Field

from scicat_retriever.domain.evidence import Integrity
from scicat_retriever.domain.ids import DatasetPid, JobId
from scicat_retriever.http_api.service import Service
from scicat_retriever.onepass.digests import Hashing
from scicat_retriever.pipeline.delivery.file_manifest import NAME as MANIFEST
from scicat_retriever.pipeline.delivery.lists import listed
from scicat_retriever.pipeline.delivery.signature import ENDING, PUBLIC_KEY_PATH


class ChecksumList(BaseModel):
    """A list of checksums of what is ready, as a program of GNU coreutils checks it."""

    algorithm: str
    name: str = Field(description="What its file is called, such as `SHA256SUMS`.")
    url: str = Field(description="Where it is downloaded; no token is needed.")
    signature: str | None = Field(description="Its signature (minisign); null where the service has no key.")
    complete: bool = Field(
        description="Whether it has every file that is ready. Files without a catalogued checksum of that algorithm are in no "
        "list of it; `manifest.json` has them all."
    )


class Lists(TypedDict):
    """The fields of a page that lead to the manifest and to lists of checksums."""

    manifest: str | None
    manifest_signature: str | None
    checksums: list[ChecksumList]


class ListLinks:
    """The links of a job's page and of those of its datasets.

    Args:
        job_id: The job.
        service: The ports and settings.
    """

    def __init__(self, job_id: JobId, service: Service) -> None:
        self._job_id, self._service = job_id, service

    @property
    def public_key(self) -> str | None:
        """Where the key is given that signatures are checked with."""
        service = self._service
        return None if service.signer is None else f"{service.links.base_url}{PUBLIC_KEY_PATH}"

    def below(self, url: str, pids: Sequence[DatasetPid]) -> Lists:
        """Give the links to the manifest and the lists of some datasets that are ready.

        Args:
            url: The page that they are below.
            pids: The datasets; where there are none, there are no lists.
        """
        ending = None if self._service.signer is None or not pids else ENDING
        how = ((integrity, Hashing.parse(names)) for pid in pids for integrity, names in self._of(pid))
        return Lists(
            manifest=f"{url}/{MANIFEST}" if pids else None,
            manifest_signature=ending and f"{url}/{MANIFEST}{ending}",
            checksums=[
                ChecksumList(
                    algorithm=each.algorithm,
                    name=each.name,
                    url=f"{url}/{each.name}",
                    signature=ending and f"{url}/{each.name}{ending}",
                    complete=each.complete,
                )
                for each in listed(how)
            ],
        )

    def _of(self, pid: DatasetPid) -> Collection[tuple[Integrity | None, str]]:
        return self._hashed.get(pid, ())

    @cached_property
    def _hashed(self) -> Mapping[DatasetPid, Collection[tuple[Integrity | None, str]]]:
        return self._service.ledger.needs.hashed(self._job_id)
