"""The staging areas: the fake, a directory, and a bucket of a real S3."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from scicat_retriever.storage.staging.directory.area import DirectoryStaging
from scicat_retriever.storage.staging.directory.settings import DirectoryStagingSettings
from scicat_retriever.storage.staging.s3.area import S3Staging
from scicat_retriever.storage.staging.s3.settings import S3StagingSettings
from tests.contracts.staging.rig import CAPACITY, MIB, AreaRig, InMemoryRig, MakeArea
from tests.fakes.staging_area import InMemoryStagingArea
from tests.integration.seaweedfs import Seaweed, SeaweedUnavailable, running_seaweed
from tests.integration.tcp_proxy import TcpProxy, proxy_before


@pytest.fixture(scope="session")
def seaweed() -> Iterator[Seaweed]:
    """An S3 for the session."""
    try:
        with running_seaweed() as server:
            yield server
    except SeaweedUnavailable as reason:
        pytest.skip(str(reason))


@pytest.fixture
def bucket(seaweed: Seaweed) -> Iterator[str]:
    """A bucket that no other test uses."""
    with seaweed.bucket() as name:
        yield name


@pytest.fixture(params=["fake", "directory", "s3"])
def rig(request: pytest.FixtureRequest, tmp_path: Path) -> AreaRig:
    """Each staging area, empty."""
    if request.param == "fake":
        return InMemoryRig(partial(InMemoryStagingArea, CAPACITY))
    if request.param == "directory":
        # With a capacity, since what the file system has also changes by what others do.
        settings = DirectoryStagingSettings(
            root=tmp_path / "staging", keep_free_bytes=0, capacity_bytes=CAPACITY
        )
        return AreaRig(partial(DirectoryStaging, settings))
    server: Seaweed = request.getfixturevalue("seaweed")
    options = server.settings(
        request.getfixturevalue("bucket"),
        capacity_bytes=CAPACITY,
        part_bytes=5 * 2**20,
        prefix="retriever/staging/",
    )
    return AreaRig(partial(S3Staging, S3StagingSettings.model_validate(options)))


@pytest.fixture
def make_area(seaweed: Seaweed, bucket: str) -> MakeArea:
    """Makes areas over one bucket, with settings that differ."""

    def make(**others: Any) -> S3Staging:
        options = seaweed.settings(bucket, **{"part_bytes": 5 * MIB, **others})
        return S3Staging(S3StagingSettings.model_validate(options))

    return make


@pytest.fixture
def proxy(seaweed: Seaweed) -> Iterator[TcpProxy]:
    with proxy_before(seaweed.port) as proxy:
        yield proxy
