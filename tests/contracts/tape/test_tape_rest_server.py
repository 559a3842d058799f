"""The server of `testing` keeps to the reference document of the WLCG Tape REST API, version 1, and to RFC 9110."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from starlette.testclient import TestClient

from stand_ins.tape.library import TapeLibrary
from stand_ins.tape.rest_server import Dialect, TapeRestServer

CONTENT = bytes(range(200))


@pytest.fixture
def library() -> TapeLibrary:
    library = TapeLibrary()
    library.store("run1/a.tar", CONTENT, tape="T1")
    library.store("run1/b.tar", CONTENT, tape="T1")
    library.store("disk.tar", CONTENT)
    return library


@pytest.fixture
def server(library: TapeLibrary) -> TapeRestServer:
    return TapeRestServer(library, root="/raw")


@pytest.fixture
def client(server: TapeRestServer) -> Iterator[TestClient]:
    with TestClient(server.app, "https://tape.example.org") as client:
        yield client


def stage(client: TestClient, *paths: str, **keys: Any) -> str:
    files = [{"path": path, **keys} for path in paths]
    return str(client.post("/api/v1/stage", json={"files": files}).json()["requestId"])


def look(client: TestClient, request: str) -> dict[str, Any]:
    answer = client.get(f"/api/v1/stage/{request}").json()
    assert isinstance(answer, dict)
    return answer


def run_out(library: TapeLibrary) -> None:
    for _ in range(100):
        due = library.next_event()
        if due is None or due > 10_000:
            return
        library.advance(due)


def test_discovery_names_the_api_of_version_1(client: TestClient) -> None:
    answer = client.get("/.well-known/wlcg-tape-rest-api").json()
    assert answer["sitename"] == "test-site"
    assert [(each["uri"], each["version"]) for each in answer["endpoints"]] == [
        ("https://tape.example.org/api/v1", "v1")
    ]


def test_a_stage_request_is_created_with_a_location(client: TestClient) -> None:
    answer = client.post("/api/v1/stage", json={"files": [{"path": "/raw/run1/a.tar"}]})
    assert answer.status_code == 201
    assert answer.headers["Location"] == f"https://tape.example.org/api/v1/stage/{answer.json()['requestId']}"


def test_a_staged_file_is_submitted_then_completed_with_times(
    client: TestClient, library: TapeLibrary
) -> None:
    request = stage(client, "/raw/run1/a.tar")
    assert look(client, request)["files"][0]["state"] in {"SUBMITTED", "STARTED"}
    run_out(library)
    (file,) = look(client, request)["files"]
    assert (file["path"], file["state"]) == ("/raw/run1/a.tar", "COMPLETED")
    assert file["finishedAt"] >= file["startedAt"] >= 0
    assert look(client, request)["completedAt"] == file["finishedAt"]


def test_each_file_has_on_disk_or_state_by_the_dialect(client: TestClient, server: TapeRestServer) -> None:
    request = stage(client, "/raw/disk.tar")
    assert "onDisk" not in look(client, request)["files"][0]
    server.dialect = Dialect(progress="onDisk")
    (file,) = look(client, request)["files"]
    assert file["onDisk"] is True
    assert "state" not in file


def test_a_file_that_is_not_there_fails_in_its_request(client: TestClient) -> None:
    (file,) = look(client, stage(client, "/raw/none.tar"))["files"]
    assert (file["state"], file["error"]) == ("FAILED", "no such file or directory")


def test_a_completed_file_stays_so_when_it_leaves_the_disk(client: TestClient, library: TapeLibrary) -> None:
    request = stage(client, "/raw/run1/a.tar")
    run_out(library)
    look(client, request)
    library.release(["run1/a.tar"])
    assert look(client, request)["files"][0]["state"] == "COMPLETED"


def test_cancelled_files_are_cancelled_and_others_go_on(client: TestClient, library: TapeLibrary) -> None:
    request = stage(client, "/raw/run1/a.tar", "/raw/run1/b.tar")
    assert (
        client.post(f"/api/v1/stage/{request}/cancel", json={"paths": ["/raw/run1/b.tar"]}).status_code == 200
    )
    run_out(library)
    states = {file["path"]: file["state"] for file in look(client, request)["files"]}
    assert states == {"/raw/run1/a.tar": "COMPLETED", "/raw/run1/b.tar": "CANCELLED"}


@pytest.mark.parametrize("call", ["/api/v1/stage/{}/cancel", "/api/v1/release/{}"])
def test_a_file_that_is_not_of_the_request_is_refused(client: TestClient, call: str) -> None:
    request = stage(client, "/raw/run1/a.tar")
    answer = client.post(call.format(request), json={"paths": ["/raw/run1/a.tar", "/raw/disk.tar"]})
    assert (answer.status_code, answer.json()["title"]) == (400, "File missing from stage request")
    assert look(client, request)["files"][0]["state"] != "CANCELLED"


def test_a_deleted_request_is_unknown_and_its_recall_taken_back(
    client: TestClient, library: TapeLibrary
) -> None:
    request = stage(client, "/raw/run1/a.tar", "/raw/run1/b.tar")
    assert client.delete(f"/api/v1/stage/{request}").status_code == 200
    answer = client.get(f"/api/v1/stage/{request}")
    assert (answer.status_code, answer.headers["Content-Type"]) == (404, "application/problem+json")
    run_out(library)
    assert library.reads("run1/b.tar") == 0


def test_archiveinfo_answers_each_path_in_order(client: TestClient) -> None:
    paths = ["/raw/disk.tar", "/raw/run1/a.tar", "/raw/none.tar", "relative", "/elsewhere/a", "/raw/../etc"]
    answer = client.post("/api/v1/archiveinfo", json={"paths": paths}).json()
    assert [each["path"] for each in answer] == paths
    assert [each.get("locality") for each in answer] == ["DISK", "TAPE", None, None, None, None]
    assert all(each["error"] for each in answer[2:])


def test_archiveinfo_cuts_at_its_limit_silently(client: TestClient, server: TapeRestServer) -> None:
    server.dialect = Dialect(archiveinfo_limit=1)
    answer = client.post("/api/v1/archiveinfo", json={"paths": ["/raw/disk.tar", "/raw/run1/a.tar"]})
    assert (answer.status_code, len(answer.json())) == (200, 1)


@pytest.mark.parametrize(
    "body",
    [
        {},
        [],
        {"files": []},
        {"files": [1]},
        {"files": [{}]},
        {"files": [{"path": "relative"}]},
        {"files": [{"path": "/raw/../etc/passwd"}]},
        {"files": [{"path": "/raw/disk.tar", "diskLifetime": "1 day"}]},
        {"files": [{"path": "/raw/disk.tar", "diskLifetime": "P"}]},
    ],
)
def test_a_malformed_stage_request_is_a_problem(client: TestClient, body: Any) -> None:
    answer = client.post("/api/v1/stage", json=body)
    assert (answer.status_code, answer.json()["status"]) == (400, 400)


@pytest.mark.parametrize(("strict", "status"), [(True, 400), (False, 201)])
def test_unknown_keys_are_refused_by_the_dialect(
    client: TestClient, server: TapeRestServer, *, strict: bool, status: int
) -> None:
    server.dialect = Dialect(strict_keys=strict)
    body = {"files": [{"path": "/raw/disk.tar"}], "activity": "test"}
    assert client.post("/api/v1/stage", json=body).status_code == status


def test_a_body_that_is_no_json_is_a_problem(client: TestClient) -> None:
    assert client.post("/api/v1/archiveinfo", content=b"{").status_code == 400


def test_a_disk_lifetime_is_an_iso_8601_duration(client: TestClient, library: TapeLibrary) -> None:
    stage(client, "/raw/run1/a.tar", diskLifetime="P1DT1H1M1S")
    run_out(library)
    file = library.file("run1/a.tar")
    assert file is not None
    assert file.finished_at is not None
    library.advance(file.finished_at + 90_060)
    assert client.get("/raw/run1/a.tar").status_code == 200
    library.advance(file.finished_at + 90_061)
    assert client.get("/raw/run1/a.tar").status_code == 409


def test_without_a_token_only_discovery_answers(client: TestClient, server: TapeRestServer) -> None:
    server.tokens = {"good"}
    denied = client.post("/api/v1/archiveinfo", json={"paths": []})
    assert (denied.status_code, denied.headers["WWW-Authenticate"]) == (401, "Bearer")
    assert client.get("/raw/disk.tar").status_code == 401
    assert client.get("/.well-known/wlcg-tape-rest-api").status_code == 200
    assert client.get("/raw/disk.tar", headers={"Authorization": "Bearer good"}).status_code == 200


@pytest.mark.parametrize(
    ("asked", "expected", "content_range"),
    [
        ("bytes=0-0", CONTENT[:1], "bytes 0-0/200"),
        ("bytes=10-", CONTENT[10:], "bytes 10-199/200"),
        ("bytes=150-1000", CONTENT[150:], "bytes 150-199/200"),
        ("bytes=-5", CONTENT[-5:], "bytes 195-199/200"),
    ],
)
def test_a_range_is_answered_with_206(
    client: TestClient, asked: str, expected: bytes, content_range: str
) -> None:
    answer = client.get("/raw/disk.tar", headers={"Range": asked})
    assert (answer.status_code, answer.content) == (206, expected)
    assert answer.headers["Content-Range"] == content_range


def test_a_range_past_the_end_is_416(client: TestClient) -> None:
    answer = client.get("/raw/disk.tar", headers={"Range": "bytes=200-"})
    assert (answer.status_code, answer.headers["Content-Range"]) == (416, "bytes */200")


def test_head_tells_the_size_of_what_is_on_tape(client: TestClient) -> None:
    answer = client.head("/raw/run1/a.tar")
    assert (answer.status_code, answer.headers["Content-Length"], answer.content) == (200, "200", b"")


def test_another_version_is_412(client: TestClient) -> None:
    etag = client.head("/raw/disk.tar").headers["ETag"]
    assert client.get("/raw/disk.tar", headers={"If-Match": etag}).status_code == 200
    assert client.get("/raw/disk.tar", headers={"If-Match": '"other"'}).status_code == 412
