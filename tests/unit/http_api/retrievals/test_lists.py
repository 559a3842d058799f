"""Manifests, lists of checksums and their signatures, as they are sent, checked by the programs for them."""

from __future__ import annotations

import hashlib
import io
import zipfile
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from scicat_retriever import __version__
from scicat_retriever.domain.dataset import FileEntry
from scicat_retriever.domain.states import DatasetState
from scicat_retriever.onepass.checksums import ChecksumAlgorithm
from scicat_retriever.pipeline.delivery.signature import PUBLIC_KEY_PATH
from scicat_retriever.pipeline.tools.checksum_policy import ChecksumPolicy
from scicat_retriever.ports.titles import Title
from tests.unit.http_api.retrievals.test_archives import name_of, path_of
from tests.unit.http_api.retrievals.test_retrieval_page import Q, link, page, shown
from tests.unit.http_api.rig import ApiRig, assert_problem
from tests.unit.pipeline.delivery.minisign import program_verifies, verifies
from tests.unit.pipeline.delivery.test_lists import check
from tests.unit.pipeline.rig import BASE_URL, FILES, JOB, PID, tar, without_checksums

SHA256 = ChecksumAlgorithm.SHA256
ODD = {
    "größe/a b.dat": b"1",
    "con.txt": b"2",
    "a:b?": b"3",
    "two  blanks ": b"4",
    "-dash*": b"5",
    "line\nfeed": b"6",
}


@pytest.fixture
def ready(api: ApiRig) -> ApiRig:
    api.retrieved(PID, Q)
    api.ledger.titles.note(PID, Title("first"))
    api.ledger.titles.note(Q, Title("größe of all"))
    return api


def unpacked(client: TestClient, url: str, folder: Path) -> None:
    with zipfile.ZipFile(io.BytesIO(client.get(path_of(url)).content)) as made:
        made.extractall(folder)


def test_the_list_of_a_retrieval_passes_on_its_unpacked_zip(
    client: TestClient, ready: ApiRig, tmp_path: Path
) -> None:
    body = shown(client, link(ready))
    (its,) = body["checksums"]
    assert (its["algorithm"], its["name"], its["complete"]) == ("sha256", "SHA256SUMS", True)
    answer = client.get(path_of(its["url"]))
    assert (answer.status_code, name_of(answer.headers)) == (200, "SHA256SUMS")
    assert answer.content.count(b"\n") == 2 * len(FILES)
    unpacked(client, body["zip"], tmp_path)
    assert check(tmp_path, SHA256, answer.content).returncode == 0
    next(each for each in tmp_path.rglob("a.dat")).write_bytes(b"something else")
    assert check(tmp_path, SHA256, answer.content).returncode == 1


def test_lists_of_odd_names_pass_too_also_of_what_is_hashed_besides(tmp_path: Path) -> None:
    api = ApiRig(policy=ChecksumPolicy(also_hash=("sha256",)))
    entries = tuple(FileEntry(name, len(each), hashlib.md5(each).hexdigest()) for name, each in ODD.items())
    api.catalogue.add_dataset(PID, (api.archive(content=tar(ODD), listed=entries, algorithm="md5"),))
    api.job(PID)
    (record,) = api.plan_again("run", PID)
    api.stage(record)
    api.ledger.jobs.move_dataset(JOB, PID, DatasetState.RETRIEVED)
    with api.client() as client:
        body = shown(client, link(api))["datasets"][0]
        assert [each["name"] for each in body["checksums"]] == ["MD5SUMS", "SHA256SUMS"]
        unpacked(client, body["zip"], tmp_path)
        for each, algorithm in zip(body["checksums"], (ChecksumAlgorithm.MD5, SHA256), strict=True):
            content = client.get(path_of(each["url"])).content
            assert content.count(b"\n") == len(ODD)
            assert check(tmp_path, algorithm, content).returncode == 0


@pytest.mark.parametrize("name", ["manifest.json", "SHA256SUMS"])
@pytest.mark.parametrize("below", ["", "/datasets/2"])
def test_what_is_signed_is_what_was_sent_and_minisign_says_so(
    client: TestClient, ready: ApiRig, tmp_path: Path, below: str, name: str
) -> None:
    url = f"{link(ready)}{below}/{name}"
    content, signature = client.get(url).content, client.get(f"{url}.minisig")
    key = client.get(PUBLIC_KEY_PATH).text
    assert name_of(signature.headers) == f"{name}.minisig"
    assert verifies(content, signature.text, key)
    assert f"{JOB}{below}" in signature.text.splitlines()[2]
    (tmp_path / name).write_bytes(content)
    (tmp_path / f"{name}.minisig").write_text(signature.text)
    assert program_verifies(tmp_path, name, key)
    (tmp_path / name).write_bytes(content.replace(b"a", b"b", 1))
    assert not program_verifies(tmp_path, name, key)


def test_page_and_json_lead_to_all_of_it(client: TestClient, ready: ApiRig) -> None:
    body = shown(client, link(ready))
    assert body["publicKey"] == f"{BASE_URL}{PUBLIC_KEY_PATH}"
    for each in (body, *body["datasets"]):
        urls = [each["manifest"], each["manifestSignature"]]
        urls += [url for its in each["checksums"] for url in (its["url"], its["signature"])]
        text = page(client, path_of(each["url"]))
        for url in urls:
            assert f'href="{url}"' in text
            assert client.get(path_of(url)).status_code == 200
    assert "sha256sum -c SHA256SUMS" in page(client, link(ready))


def test_the_manifest_has_the_files_of_the_zip_and_says_what_is_missing(
    client: TestClient, api: ApiRig
) -> None:
    api.catalogue.add_dataset(PID, (api.archive(),))
    api.job(PID, Q)
    (record,) = api.plan_again("run", PID)
    api.stage(record)
    api.ledger.jobs.move_dataset(JOB, PID, DatasetState.RETRIEVED)
    answer = client.get(f"{link(api)}/manifest.json")
    assert (answer.headers["content-type"], name_of(answer.headers)) == ("application/json", "manifest.json")
    made = answer.json()
    assert (made["job"], made["service"], made["missing"]) == (JOB, __version__, [Q])
    with zipfile.ZipFile(io.BytesIO(client.get(f"{link(api)}/all.zip").content)) as held:
        assert [each["path"] for each in made["files"]] == held.namelist()
        assert [int(each["crc32"], 16) for each in made["files"]] == [each.CRC for each in held.infolist()]
    of_one = client.get(f"{link(api)}/datasets/1/manifest.json").json()
    assert (of_one["missing"], of_one["files"]) == ([], made["files"])
    assert shown(client, link(api))["datasets"][1]["manifest"] is None


@pytest.mark.parametrize("name", ["manifest.json", "SHA256SUMS", "datasets/1/manifest.json"])
def test_a_version_has_its_tag_and_comes_in_one_piece(client: TestClient, ready: ApiRig, name: str) -> None:
    url = f"{link(ready)}/{name}"
    whole, head = client.get(url, headers={"Range": "bytes=0-3"}), client.head(url)
    assert (whole.status_code, head.status_code, head.content) == (200, 200, b"")
    for header in ("etag", "accept-ranges", "content-type", "content-disposition"):
        assert head.headers[header] == whole.headers[header]
    assert (whole.headers["accept-ranges"], "content-length" in head.headers) == ("none", False)
    assert client.get(url, headers={"If-None-Match": whole.headers["etag"]}).status_code == 304
    with ready.client() as other:
        assert other.get(url).content == whole.content
    ready.ledger.titles.note(PID, Title("another name"))
    assert client.get(url).headers["etag"] != whole.headers["etag"]


def test_where_only_sizes_were_compared_there_is_no_list(client: TestClient) -> None:
    api = ApiRig(policy=ChecksumPolicy(missing_checksum="size_only"))
    api.catalogue.add_dataset(PID, (api.archive(listed=without_checksums(FILES), algorithm=None),))
    api.job(PID)
    (record,) = api.plan_again("run", PID)
    api.stage(record)
    api.ledger.jobs.move_dataset(JOB, PID, DatasetState.RETRIEVED)
    with api.client() as its:
        assert shown(its, link(api))["checksums"] == []
        assert_problem(its.get(f"{link(api)}/SHA256SUMS"), 404, "nothing_selected")
        assert_problem(its.get(f"{link(api)}/SHA256SUMS.minisig"), 404, "nothing_selected")
        made = its.get(f"{link(api)}/manifest.json").json()
        assert (made["datasets"][0]["compared"], made["filesComparedBySizeAlone"]) == ("size", len(FILES))


def test_without_a_key_nothing_is_signed_and_the_page_leads_to_no_signature(api: ApiRig) -> None:
    api.retrieved(PID)
    api.signer = None
    with api.client() as client:
        body = shown(client, link(api))
        assert (body["publicKey"], body["manifestSignature"]) == (None, None)
        assert [each["signature"] for each in body["checksums"]] == [None]
        assert "minisig" not in page(client, link(api))
        assert_problem(client.get(f"{link(api)}/manifest.json.minisig"), 404, "not_signed")
        assert_problem(client.get(PUBLIC_KEY_PATH), 404, "not_signed")
        assert client.get(f"{link(api)}/SHA256SUMS").status_code == 200


def test_nothing_is_given_of_what_is_not_there_or_not_allowed(client: TestClient, ready: ApiRig) -> None:
    assert_problem(client.get(f"{link(ready)}/MD5SUMS"), 404, "nothing_selected")
    assert client.get(f"{link(ready)}/CRC32SUMS").status_code == 422
    assert_problem(client.get(f"{link(ready)}/datasets/3/SHA256SUMS"), 404, "job_not_found")
    former = link(ready)
    ready.ledger.links.revoke(JOB)
    for name in ("manifest.json", "manifest.json.minisig", "SHA256SUMS", "SHA256SUMS.minisig"):
        assert_problem(client.get(f"{former}/{name}"), 410, "link_revoked")
