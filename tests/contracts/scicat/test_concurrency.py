"""Two at once: what the recorder counted in ``06-lifecycle.json`` and ``10b-concurrency.json``, made anew."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote

import httpx2
import pytest

from tests.contracts.scicat.targets import Target

TRIES = 200


def change_at_once(scicat: Target, pid: str, version: str) -> list[int]:
    """Send two changes of different lifecycle fields at once; gives the two status codes."""
    path = f"/api/{version}/datasets/{quote(pid, safe='')}/datasetlifecycle"
    changes = [{"retrieveStatusMessage": "A"}, {"archiveStatusMessage": "B"}]
    with ThreadPoolExecutor(2) as pool:
        answers = pool.map(lambda body: scicat.request("archiveManager", "PATCH", path, body), changes)
        return [answer.status_code for answer in answers]


def lifecycle(scicat: Target, pid: str) -> dict[str, object]:
    """Read a lifecycle."""
    answer = scicat.request("admin", "GET", f"/api/v4/datasets/{quote(pid, safe='')}/datasetlifecycle")
    return dict(answer.json())


@pytest.mark.parametrize("version", ["v3", "v4"])
def test_of_two_concurrent_lifecycle_changes_one_is_lost(
    scicat: Target, make_dataset: Callable[..., str], version: str
) -> None:
    scicat.token("archiveManager")
    lost, tries, statuses = False, 0, set()
    while not lost:
        assert (tries := tries + 1) <= TRIES
        pid = make_dataset()
        statuses |= set(change_at_once(scicat, pid, version))
        now = lifecycle(scicat, pid)
        kept = [now["retrieveStatusMessage"] == "A", now["archiveStatusMessage"] == "B"]
        assert any(kept), "neither change was stored"
        lost = kept != [True, True]
    assert statuses <= {200, 500}


def test_lifecycle_changes_one_after_the_other_are_both_kept(
    scicat: Target, make_dataset: Callable[..., str]
) -> None:
    pid = make_dataset()
    path = f"/api/v4/datasets/{quote(pid, safe='')}/datasetlifecycle"
    scicat.request("archiveManager", "PATCH", path, {"retrieveStatusMessage": "A"})
    scicat.request("archiveManager", "PATCH", path, {"archiveStatusMessage": "B"})
    now = lifecycle(scicat, pid)
    assert (now["retrieveStatusMessage"], now["archiveStatusMessage"]) == ("A", "B")


def test_concurrent_changes_of_a_lifecycle_and_of_a_description_are_both_kept(
    scicat: Target, make_dataset: Callable[..., str]
) -> None:
    pid = make_dataset()
    path = f"/api/v4/datasets/{quote(pid, safe='')}"
    scicat.token("archiveManager")
    scicat.token("admin")
    with ThreadPoolExecutor(2) as pool:
        one = pool.submit(
            scicat.request,
            "archiveManager",
            "PATCH",
            f"{path}/datasetlifecycle",
            {"retrieveStatusMessage": "A"},
        )
        other = pool.submit(scicat.request, "admin", "PATCH", path, {"description": "new"})
        assert {one.result().status_code, other.result().status_code} == {200}
    dataset = scicat.request("admin", "GET", path).json()
    assert (dataset["datasetlifecycle"]["retrieveStatusMessage"], dataset["description"]) == ("A", "new")


def test_concurrent_changes_of_a_job_all_succeed_and_one_of_them_stays(
    scicat: Target, make_dataset: Callable[..., str], make_job: Callable[[str], httpx2.Response]
) -> None:
    job_id = make_job(make_dataset()).json()["id"]
    scicat.token("archiveManager")
    bodies = [{"statusCode": "inProgress", "statusMessage": str(index)} for index in range(8)]
    with ThreadPoolExecutor(8) as pool:
        answers = list(
            pool.map(
                lambda body: scicat.request("archiveManager", "PATCH", f"/api/v4/jobs/{job_id}", body), bodies
            )
        )
    assert {answer.status_code for answer in answers} == {200}
    job = scicat.request("admin", "GET", f"/api/v4/jobs/{job_id}").json()
    assert job["statusMessage"] in {body["statusMessage"] for body in bodies}
