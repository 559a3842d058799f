"""Zips and tars of a retrieval, as they are sent."""

from __future__ import annotations

import io
import tarfile
import zipfile
from datetime import timedelta
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from starlette.testclient import TestClient

from scicat_retriever.domain.errors import DatasetUnknown
from scicat_retriever.domain.ids import DatasetPid
from scicat_retriever.domain.states import DatablockState, DatasetState
from scicat_retriever.onepass.manifest import read_manifest
from scicat_retriever.pipeline.staging.fixity import FixityLook
from scicat_retriever.pipeline.staging.fixity_pace import FixityPace
from scicat_retriever.ports.titles import Title
from tests.unit.http_api.retrievals.test_retrieval_page import BROWSER, Q, link, shown
from tests.unit.http_api.rig import ApiRig, assert_problem
from tests.unit.onepass.old_manifests import old_manifest
from tests.unit.pipeline.rig import FILES, JOB, LIFETIME, PID


@pytest.fixture
def ready(api: ApiRig) -> ApiRig:
    api.retrieved(PID, Q)
    api.ledger.titles.note(PID, Title("first"))
    api.ledger.titles.note(Q, Title("second"))
    return api


EXPECTED = {f"{folder}/{path}": content for folder in ("first", "second") for path, content in FILES.items()}


def unzipped(content: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(content)) as made:
        assert made.testzip() is None
        return {info.filename: made.read(info) for info in made.infolist()}


def untarred(content: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(content)) as made:
        return {info.name: made.extractfile(info).read() for info in made.getmembers()}  # type: ignore[union-attr]


def path_of(url: str) -> str:
    return urlsplit(url).path


def name_of(headers: Any) -> str:
    return unquote(headers["content-disposition"].partition("filename*=UTF-8''")[2])


def test_one_link_gives_all_files_of_all_datasets(client: TestClient, ready: ApiRig) -> None:
    body = shown(client, link(ready))
    answer = client.get(path_of(body["zip"]))
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/zip")
    assert int(answer.headers["content-length"]) == len(answer.content)
    assert unzipped(answer.content) == EXPECTED
    assert name_of(answer.headers) == f"retrieval-{JOB[:8]}-2-datasets.zip"
    answer = client.get(path_of(body["tar"]))
    assert untarred(answer.content) == EXPECTED
    assert name_of(answer.headers) == f"retrieval-{JOB[:8]}-2-datasets.tar"


def test_what_an_earlier_release_staged_says_when_there_is_an_archive_of_it_and_is_read_again_first(
    client: TestClient, ready: ApiRig
) -> None:
    (record,) = ready.ledger.datablocks.of(Q)
    new = ready.ledger.copies.known_manifest(record.key)
    assert new is not None
    members = read_manifest(new.blob, new.seal).members()
    ready.ledger.copies.renew_manifest(record.key, new.seal, old_manifest(members, "sha256"))
    path = f"{link(ready)}/all.zip"
    problem = assert_problem(client.get(path), 409, "archive_not_ready")
    by = ready.clock() + timedelta(minutes=5)
    assert f"at about {by:%Y-%m-%d %H:%M} UTC" in problem["detail"]
    assert [each.key for each in ready.ledger.inventory.wanted_checks()] == [record.key]
    assert FixityLook(FixityPace(), ready.tools, lambda: False).run().renewed == 1
    assert unzipped(client.get(path).content) == EXPECTED


def test_what_an_earlier_release_staged_compressed_says_so(client: TestClient, ready: ApiRig) -> None:
    (record,) = ready.ledger.datablocks.of(Q)
    new = ready.ledger.copies.known_manifest(record.key)
    assert new is not None
    members = read_manifest(new.blob, new.seal).members()
    ready.ledger.copies.renew_manifest(record.key, new.seal, old_manifest(members, "sha256", gzip=True))
    problem = assert_problem(client.get(f"{link(ready)}/all.zip"), 409, "archive_not_ready")
    assert "compressed" in problem["detail"]


def test_one_dataset_comes_alone_under_its_name(client: TestClient, ready: ApiRig) -> None:
    answer = client.get(path_of(shown(client, link(ready))["datasets"][1]["zip"]))
    assert unzipped(answer.content) == {f"second/{path}": content for path, content in FILES.items()}
    assert name_of(answer.headers) == "second.zip"


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_every_range_is_that_of_the_whole_and_the_tag_stays(
    client: TestClient, ready: ApiRig, kind: str
) -> None:
    path = f"{link(ready)}/all.{kind}"
    whole = client.get(path)
    size = len(whole.content)
    for start, stop in [(0, 1), (0, size), (17, 400), (size - 30, size), (size // 2, size // 2 + 3)]:
        part = client.get(
            path, headers={"Range": f"bytes={start}-{stop - 1}", "If-Range": whole.headers["etag"]}
        )
        assert (part.status_code, part.content) == (206, whole.content[start:stop])
        assert part.headers["content-range"] == f"bytes {start}-{stop - 1}/{size}"
        assert part.headers["etag"] == whole.headers["etag"]
    assert client.get(path, headers={"Range": "bytes=5-", "If-Range": '"another"'}).content == whole.content
    assert client.get(path, headers={"If-None-Match": whole.headers["etag"]}).status_code == 304
    beyond = client.get(path, headers={"Range": f"bytes={size}-"})
    assert_problem(beyond, 416, "range_unsatisfiable")
    assert beyond.headers["content-range"] == f"bytes */{size}"


def test_head_says_what_get_would_and_sends_nothing(client: TestClient, ready: ApiRig) -> None:
    whole = client.get(f"{link(ready)}/all.zip")
    head = client.head(f"{link(ready)}/all.zip")
    assert (head.status_code, head.content) == (200, b"")
    for name in ("content-length", "etag", "content-disposition", "accept-ranges", "content-type"):
        assert head.headers[name] == whole.headers[name]


def test_another_process_gives_the_same_bytes_under_the_same_tag(client: TestClient, ready: ApiRig) -> None:
    with ready.client() as other:
        one, another = client.get(f"{link(ready)}/all.zip"), other.get(f"{link(ready)}/all.zip")
    assert (one.content, one.headers["etag"]) == (another.content, another.headers["etag"])


def test_a_selection_holds_the_chosen_files_alone(client: TestClient, ready: ApiRig) -> None:
    first = next(iter(FILES))
    answer = client.get(f"{link(ready)}/all.zip", params={"files": first})
    assert unzipped(answer.content) == {f"{each}/{first}": FILES[first] for each in ("first", "second")}
    assert name_of(answer.headers).endswith("-selection.zip")
    all_of_it = client.get(f"{link(ready)}/datasets/1/all.tar", params={"files": "*"})
    assert len(untarred(all_of_it.content)) == len(FILES)
    assert_problem(client.get(f"{link(ready)}/all.zip", params={"files": "no such"}), 404, "nothing_selected")


def test_where_some_failed_the_rest_is_given_and_the_name_says_so(client: TestClient, api: ApiRig) -> None:
    for pid in (PID, Q):
        api.catalogue.add_dataset(pid, (api.archive(pid=pid),))
    api.job(PID, Q)
    (record,) = api.plan_again("run", PID)
    api.stage(record)
    api.ledger.jobs.move_dataset(JOB, PID, DatasetState.RETRIEVED)
    api.ledger.jobs.move_dataset(
        JOB, Q, DatasetState.FAILED, [DatasetUnknown("there is no such dataset").failure()]
    )
    answer = client.get(f"{link(api)}/all.zip")
    assert len(unzipped(answer.content)) == len(FILES)
    assert name_of(answer.headers) == f"retrieval-{JOB[:8]}-1-of-2-datasets.zip"
    assert "1 of 2 datasets" in client.get(link(api), headers=BROWSER).text
    assert_problem(client.get(f"{link(api)}/datasets/2/all.zip"), 410, "link_released")


def test_nothing_is_given_of_what_is_not_there_or_not_allowed(client: TestClient, ready: ApiRig) -> None:
    path = f"{link(ready)}/all.zip"
    assert_problem(client.get(f"{link(ready)}/datasets/3/all.zip"), 404, "job_not_found")
    assert client.get(f"{link(ready)}/all.rar").status_code == 422
    ready.ledger.links.revoke(JOB)
    assert_problem(client.get(path), 410, "link_revoked")
    ready.clock.advance(LIFETIME + timedelta(days=1))
    assert_problem(client.get(f"{link(ready)}/all.zip"), 410, "link_released")


def test_no_archive_is_begun_with_a_file_that_is_gone(client: TestClient, ready: ApiRig) -> None:
    (record,) = ready.ledger.datablocks.of(DatasetPid(Q))
    ready.staging.delete(record.key, record.partial)
    assert_problem(client.get(f"{link(ready)}/all.zip"), 410, "link_released")
    ready.ledger.datablocks.move(record.key, DatablockState.PLANNED, "its staged file is gone")
    assert unzipped(client.get(f"{link(ready)}/all.zip").content).keys() == {
        f"first/{path}" for path in FILES
    }


def test_a_file_that_goes_meanwhile_breaks_the_answer_off(client: TestClient, ready: ApiRig) -> None:
    whole = client.get(f"{link(ready)}/all.zip")
    (record,) = ready.ledger.datablocks.of(DatasetPid(Q))
    ready.staging.delete(record.key, record.partial)
    broken = client.get(f"{link(ready)}/all.zip")
    assert int(broken.headers["content-length"]) == len(whole.content)
    assert len(broken.content) < len(whole.content)


def test_folders_can_be_looked_into_and_each_file_downloaded(client: TestClient, ready: ApiRig) -> None:
    url, found = f"{link(ready)}/datasets/1", {}
    folders = [url]
    while folders:
        split = urlsplit(folders.pop())
        folder = shown(client, f"{split.path}?{split.query}")["folder"]
        folders += [each["url"] for each in folder["folders"]]
        for each in folder["files"]:
            answer = client.get(path_of(each["url"]))
            assert (answer.status_code, len(answer.content)) == (200, each["size"])
            assert name_of(answer.headers) == each["name"]
            inside = f"{folder['path']}/" if folder["path"] else ""
            found[f"{inside}{each['name']}"] = answer.content
    assert found == FILES
    assert "Files" in client.get(url, headers=BROWSER).text


def test_a_file_comes_in_ranges_with_the_digest_of_the_whole(client: TestClient, ready: ApiRig) -> None:
    name, content = max(FILES.items(), key=lambda item: len(item[1]))
    path = f"{link(ready)}/datasets/1/files/{name}"
    part = client.get(path, headers={"Range": "bytes=1-2"})
    assert (part.status_code, part.content) == (206, content[1:3])
    assert part.headers["content-range"] == f"bytes 1-2/{len(content)}"
    assert client.get(path, headers={"If-None-Match": part.headers["etag"]}).status_code == 304
    assert_problem(client.get(f"{path}x"), 404, "nothing_selected")
    assert "Open the page of the retrieval again" in client.get(f"{path}x", headers=BROWSER).text
    assert_problem(
        client.get(f"{link(ready)}/datasets/1", params={"folder": "no such"}), 404, "nothing_selected"
    )
