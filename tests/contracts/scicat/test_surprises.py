"""What the recorder described and did not record whole: big bodies, preconditions, many datablocks."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from urllib.parse import quote, urlencode

import httpx2

from stand_ins import local_http
from stand_ins.scicat import (
    PROFILES,
    RELEASES,
    AccessGroups,
    Release,
    ScicatStandIn,
    account,
    log_in,
    submit_retrieve_job,
)
from tests.contracts.scicat.targets import Target

MIB = 1024 * 1024


def test_a_body_over_16_mib_is_a_bare_500(scicat: Target) -> None:
    answer = scicat.request(
        "archiveManager", "PATCH", "/api/v4/jobs/none", {"statusCode": "x", "statusMessage": "x" * (16 * MIB)}
    )
    assert (answer.status_code, answer.json()) == (500, "Internal server error")


def test_a_result_of_15_mib_is_stored(
    scicat: Target, make_dataset: Callable[..., str], make_job: Callable[[str], httpx2.Response]
) -> None:
    path = f"/api/v4/jobs/{make_job(make_dataset()).json()['id']}"
    body = {"statusCode": "a", "statusMessage": "b", "jobResultObject": {"big": "x" * (15 * MIB)}}
    assert scicat.request("archiveManager", "PATCH", path, body).status_code == 200
    assert len(scicat.request("admin", "GET", path).json()["jobResultObject"]["big"]) == 15 * MIB


def test_a_dataset_changed_since_a_moment_is_not_changed_again(
    scicat: Target, make_dataset: Callable[..., str]
) -> None:
    path = f"/api/v4/datasets/{quote(make_dataset(), safe='')}"
    updated = datetime.fromisoformat(scicat.request("admin", "GET", path).json()["updatedAt"])
    before = (updated - timedelta(milliseconds=1)).isoformat(timespec="milliseconds")
    answer = scicat.request("admin", "PATCH", path, {"keywords": ["k"]}, {"If-Unmodified-Since": before})
    assert answer.status_code == 412


def test_a_dataset_changed_at_the_very_moment_is_changed_again_by_newer_releases(
    scicat: Target, release: Release, make_dataset: Callable[..., str]
) -> None:
    path = f"/api/v4/datasets/{quote(make_dataset(), safe='')}"
    updated = scicat.request("admin", "GET", path).json()["updatedAt"]
    answer = scicat.request("admin", "PATCH", path, {"keywords": ["k"]}, {"If-Unmodified-Since": updated})
    assert answer.status_code == (200 if release.precondition_names_dataset else 412)


def test_an_http_date_of_the_second_of_a_change_comes_too_late(
    scicat: Target, make_dataset: Callable[..., str]
) -> None:
    """It names the beginning of that second."""
    path = f"/api/v4/datasets/{quote(make_dataset(), safe='')}"
    updated = datetime.fromisoformat(scicat.request("admin", "GET", path).json()["updatedAt"])
    if updated.microsecond == 0:
        return
    second = format_datetime(updated.astimezone(UTC), usegmt=True)
    answer = scicat.request("admin", "PATCH", path, {"keywords": ["k"]}, {"If-Unmodified-Since": second})
    assert answer.status_code == 412


def test_a_dataset_not_changed_since_a_moment_is_changed(
    scicat: Target, make_dataset: Callable[..., str]
) -> None:
    path = f"/api/v4/datasets/{quote(make_dataset(), safe='')}"
    updated = datetime.fromisoformat(scicat.request("admin", "GET", path).json()["updatedAt"])
    later = (updated + timedelta(milliseconds=1)).isoformat(timespec="milliseconds")
    answer = scicat.request("admin", "PATCH", path, {"keywords": ["k"]}, {"If-Unmodified-Since": later})
    assert (answer.status_code, answer.json()["keywords"]) == (200, ["k"])


def test_each_lifecycle_change_moves_the_name_and_the_time_of_the_dataset(
    scicat: Target, make_dataset: Callable[..., str]
) -> None:
    path = f"/api/v4/datasets/{quote(make_dataset(), safe='')}"
    before = scicat.request("admin", "GET", path).json()
    scicat.request(
        "archiveManager", "PATCH", f"{path}/datasetlifecycle", {"retrieveStatusMessage": "started"}
    )
    after = scicat.request("admin", "GET", path).json()
    assert (before["updatedBy"], after["updatedBy"]) == ("ingestor", "archiveManager")
    assert after["updatedAt"] > before["updatedAt"]


def test_thousands_of_datablocks_come_whole_when_the_limit_says_so() -> None:
    stand_in = ScicatStandIn()
    stand_in.add_dataset("20.500.12345/many")
    files = [{"path": "a", "size": 1}]
    stand_in.add_datablocks(
        "20.500.12345/many",
        ({"archiveId": f"tar-{n}", "size": 1, "packedSize": 2, "dataFileList": files} for n in range(5000)),
    )
    wanted = {"where": {"datasetId": "20.500.12345/many"}, "limits": {"limit": 6000}}
    with stand_in.serve() as url:
        headers = {"Authorization": f"Bearer {log_in(url, 'archiveManager')}"}
        query = urlencode({"filter": json.dumps(wanted)})
        found = local_http.get(f"{url}/api/v3/datablocks?{query}", headers=headers, timeout=60).json()
    assert [block["archiveId"] for block in found] == [f"tar-{n}" for n in range(5000)]
    assert stand_in.dataset("20.500.12345/many")["packedSize"] == 10_000


def test_a_datablock_of_a_hundred_thousand_files_comes_whole() -> None:
    stand_in = ScicatStandIn()
    stand_in.add_dataset("20.500.12345/wide")
    files = [{"path": f"run/{n}", "size": n, "chk": "a" * 64} for n in range(100_000)]
    stand_in.add_datablocks(
        "20.500.12345/wide", [{"archiveId": "tar", "size": 1, "packedSize": 2, "dataFileList": files}]
    )
    with stand_in.serve() as url:
        headers = {"Authorization": f"Bearer {log_in(url, 'archiveManager')}"}
        found = local_http.get(f"{url}/api/v3/datablocks", headers=headers, timeout=60).json()
    assert [(one["path"], one["size"]) for one in found[0]["dataFileList"]] == [
        (one["path"], one["size"]) for one in files
    ]


def test_in_newer_releases_the_right_to_create_jobs_lists_them_all(release: Release) -> None:
    groups = AccessGroups(create_job=frozenset({"creators"}))
    accounts = [account("creator", "creators"), account("scientist", "group1")]
    stand_in = ScicatStandIn(release=release, groups=groups, accounts=accounts)
    stand_in.add_dataset("20.500.12345/abc")
    with stand_in.serve() as url:
        submit_retrieve_job(url, ["20.500.12345/abc"], token=log_in(url, "scientist")).raise_for_status()
        headers = {"Authorization": f"Bearer {log_in(url, 'creator')}"}
        listed = local_http.get(f"{url}/api/v4/jobs", headers=headers).json()
    assert len(listed) == (1 if release.job_creators_see_jobs else 0)


def test_newer_releases_list_a_hundred_jobs_unless_told_otherwise(release: Release) -> None:
    stand_in = ScicatStandIn(release=release, groups=PROFILES["job_privileged"])
    stand_in.add_dataset("20.500.12345/abc")
    with stand_in.serve() as url:
        token = log_in(url, "scientist")
        for _ in range(101):
            submit_retrieve_job(url, ["20.500.12345/abc"], token=token).raise_for_status()
        headers = {"Authorization": f"Bearer {log_in(url, 'archiveManager')}"}
        listed = local_http.get(f"{url}/api/v4/jobs", headers=headers).json()
        query = urlencode({"filter": json.dumps({"limits": {"limit": 10_000}})})
        all_of_them = local_http.get(f"{url}/api/v4/jobs?{query}", headers=headers).json()
    assert (len(listed), len(all_of_them)) == (release.jobs_limit or 101, 101)


def test_an_older_backend_has_no_lifecycle_route() -> None:
    stand_in = ScicatStandIn()
    stand_in.add_dataset("20.500.12345/abc")
    stand_in.offer_lifecycle_route(offered=False)
    path = "/api/v4/datasets/20.500.12345%2Fabc/datasetlifecycle"
    with stand_in.serve() as url:
        headers = {"Authorization": f"Bearer {log_in(url, 'archiveManager')}"}
        answer = local_http.patch(f"{url}{path}", json={"retrieveStatusMessage": "started"}, headers=headers)
    assert (answer.status_code, answer.json()["message"]) == (404, f"Cannot PATCH {path}")
    assert stand_in.dataset("20.500.12345/abc")["datasetlifecycle"]["retrieveStatusMessage"] == ""


def test_an_old_release_takes_a_lifecycle_change_that_changes_nothing_for_a_conflict() -> None:
    stand_in = ScicatStandIn(release=RELEASES["4.23"])
    stand_in.add_dataset("20.500.12345/abc")
    path = "/api/v4/datasets/20.500.12345%2Fabc/datasetlifecycle"
    with stand_in.serve() as url:
        headers = {"Authorization": f"Bearer {log_in(url, 'archiveManager')}"}
        body = {"retrieveStatusMessage": "started"}
        answers = [local_http.patch(f"{url}{path}", json=body, headers=headers) for _ in range(2)]
    assert [one.status_code for one in answers] == [200, 409]
    assert "already has the same lifecycle" in answers[1].json()["message"]


def test_an_old_release_matches_a_part_of_the_name_of_a_group() -> None:
    """Its group settings are texts that are never split."""
    who = account("part", "manager")
    statuses = {}
    for name in ("4.27", "5.2.1"):
        stand_in = ScicatStandIn(release=RELEASES[name], accounts=[who])
        stand_in.add_dataset("20.500.12345/abc")
        with stand_in.serve() as url:
            headers = {"Authorization": f"Bearer {log_in(url, 'part')}"}
            answer = local_http.get(f"{url}/api/v4/datasets/20.500.12345%2Fabc", headers=headers)
            statuses[name] = answer.status_code
    assert statuses == {"4.27": 200, "5.2.1": 403}


def test_an_older_backend_has_jobs_in_v3_alone() -> None:
    stand_in = ScicatStandIn()
    stand_in.offer_jobs_in_v4(offered=False)
    with stand_in.serve() as url:
        headers = {"Authorization": f"Bearer {log_in(url, 'admin')}"}
        refused = local_http.get(f"{url}/api/v4/jobs", headers=headers)
        listed = local_http.get(f"{url}/api/v3/jobs/fullquery", headers=headers)
    assert (refused.status_code, refused.json()["message"]) == (404, "Cannot GET /api/v4/jobs")
    assert (listed.status_code, listed.json()) == (200, [])


def test_a_route_that_the_stand_in_does_not_imitate_says_so() -> None:
    with ScicatStandIn().serve() as url:
        headers = {"Authorization": f"Bearer {log_in(url, 'admin')}"}
        assert local_http.get(f"{url}/api/v3/jobs/fullfacet", headers=headers).status_code == 501
