"""What the tests of this folder share: a SciCat with two datasets, the requests that its users make."""

from collections.abc import Callable, Iterator
from typing import Any

import httpx2
import pytest

from stand_ins.scicat import Release
from tests.contracts.scicat.targets import Target, target, tested_releases


@pytest.fixture(params=tested_releases(), ids=lambda release: release.name)
def release(request: pytest.FixtureRequest) -> Release:
    """Each release in turn; with a real SciCat, the one that the environment names."""
    chosen: Release = request.param
    return chosen


@pytest.fixture
def scicat(release: Release) -> Iterator[Target]:
    """A SciCat in its default configuration: the stand-in, or the real one that the environment names."""
    with target(release=release) as running:
        yield running


@pytest.fixture
def make_dataset(scicat: Target) -> Callable[..., str]:
    """Registers a retrievable dataset over HTTP and gives its pid."""

    def make(**fields: Any) -> str:
        body = {
            "owner": "Ada",
            "contactEmail": "ada@your.site",
            "sourceFolder": "/data/a",
            "creationTime": "2026-01-02T03:04:05.000Z",
            "ownerGroup": "group1",
            "type": "raw",
            "datasetName": "one",
            "datasetlifecycle": {"archivable": False, "retrievable": True},
            **fields,
        }
        answer = scicat.request("ingestor", "POST", "/api/v4/datasets", body)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["pid"])

    return make


@pytest.fixture
def make_job(scicat: Target) -> Callable[[str], httpx2.Response]:
    """Asks for a dataset as its owner."""

    def make(pid: str) -> httpx2.Response:
        wanted = {"datasetList": [{"pid": pid, "files": []}]}
        body = {"type": "retrieve", "ownerGroup": "group1", "jobParams": wanted}
        return scicat.request("scientist", "POST", "/api/v4/jobs", body)

    return make
