"""What the client of the Tape REST API and the server of `testing` do together, beside the promises of the port."""

from __future__ import annotations

import subprocess
import threading
from contextlib import suppress
from pathlib import Path

import pytest
import trustme
from starlette.types import Receive, Scope, Send

from scicat_retriever.domain.errors import (
    DatablockUnreadable,
    NotYetOnline,
    RecallError,
    StoreRefusesAccount,
    StoreUnavailable,
)
from scicat_retriever.domain.ids import ArchiveId
from scicat_retriever.ports.long_term_store import AskedArchive, Locality
from stand_ins.tape.backend import Locality as TapeLocality
from stand_ins.tape.backend import Recall
from stand_ins.tape.rest_server import Dialect
from stand_ins.tape.serving import Tls, served
from tests.contracts.tape.conftest import MakeRig
from tests.contracts.test_long_term_store import CONTENT, A, B, read_all, recall_state, wait_for


def test_the_api_is_discovered_once(make_rig: MakeRig) -> None:
    rig = make_rig()
    rig.put(A, CONTENT)
    assert rig.locality(A) is rig.locality(A) is Locality.ONLINE
    assert [each.path for each in rig.server.received].count("/.well-known/wlcg-tape-rest-api") == 1


def test_an_api_that_the_settings_name_is_not_discovered(make_rig: MakeRig) -> None:
    first = make_rig()
    rig = make_rig(api_url=f"{first.url}/api/v1")
    first.put(A, CONTENT, on_tape=True)
    assert rig.locality(A) is Locality.OFFLINE
    assert rig.server.received == []


@pytest.mark.parametrize("limit", [1, 7, 1000])
def test_a_batch_is_answered_whole_whatever_the_server_s_limit(make_rig: MakeRig, limit: int) -> None:
    rig = make_rig(Dialect(archiveinfo_limit=limit))
    names = [ArchiveId(f"{number}.tar") for number in range(20)]
    for name in names:
        rig.put(name, CONTENT, on_tape=True)
    answers = rig.store.recall_states([AskedArchive(name) for name in names])
    assert [getattr(answers[name], "locality", None) for name in names] == [Locality.OFFLINE] * 20


@pytest.mark.parametrize("on_tape", [409, 403, 503])
def test_opening_what_is_on_tape_says_so(make_rig: MakeRig, on_tape: int) -> None:
    rig = make_rig(Dialect(on_tape=on_tape))
    rig.put(A, CONTENT, on_tape=True)
    with pytest.raises(NotYetOnline), rig.store.open(A):
        pass


def test_a_recall_is_kept_on_disk_for_the_lifetime_of_the_settings(make_rig: MakeRig) -> None:
    rig = make_rig(disk_lifetime=7200)
    rig.put(A, CONTENT, on_tape=True)
    rig.request(A)
    rig.deliver(A)
    arrived = rig.library.now()
    rig.library.advance(arrived + 7199)
    assert rig.locality(A) is Locality.ONLINE
    rig.library.advance(arrived + 7200)
    assert rig.locality(A) is Locality.OFFLINE


def test_a_batch_on_tape_is_one_stage_request(make_rig: MakeRig) -> None:
    rig = make_rig()
    for name in (A, B):
        rig.put(name, CONTENT, on_tape=True)
    rig.request(A, B)
    assert len(rig.received("POST", "/stage")) == 1
    assert {rig.locality(A), rig.locality(B)} == {Locality.RECALLING}


def test_releasing_a_recalled_archive_lets_it_go_from_disk(make_rig: MakeRig) -> None:
    rig = make_rig()
    rig.put(A, CONTENT, on_tape=True)
    rig.request(A)
    rig.deliver(A)
    rig.store.let_go([rig.wanted(A)])
    assert rig.file(A).locality is TapeLocality.TAPE


def test_releasing_what_is_not_there_yet_takes_its_recall_back(make_rig: MakeRig) -> None:
    rig = make_rig()
    for number in range(5):
        rig.put(f"{number}.tar", CONTENT, on_tape=True)
    rig.request(*(f"{number}.tar" for number in range(5)))
    rig.store.let_go([rig.wanted("4.tar")])
    assert rig.file("4.tar").recall is Recall.CANCELLED
    assert rig.file("3.tar").recall is not Recall.CANCELLED


def test_what_another_request_still_needs_stays_on_disk(make_rig: MakeRig) -> None:
    rig = make_rig()
    rig.put(A, CONTENT, on_tape=True)
    rig.request(A)
    first = rig.wanted(A)
    rig.request(A)
    rig.deliver(A)
    rig.store.let_go([first])
    assert rig.locality(A) is Locality.ONLINE


def test_a_server_that_lost_its_requests_is_asked_again_and_joins(make_rig: MakeRig) -> None:
    rig = make_rig()
    rig.put(A, CONTENT, on_tape=True)
    rig.request(A)
    rig.server.requests.forget_all()
    assert rig.locality(A) is Locality.OFFLINE
    rig.store.let_go([rig.wanted(A)])
    rig.request(A)
    assert rig.locality(A) is Locality.RECALLING
    rig.deliver(A)
    assert rig.library.counts().reads == 1


def test_a_batch_with_a_forbidden_file_stages_the_others(make_rig: MakeRig) -> None:
    rig = make_rig()
    names = [ArchiveId(f"{number}.tar") for number in range(6)]
    for name in names:
        rig.put(name, CONTENT, on_tape=True)
    rig.forbid("2.tar")
    answers = rig.store.request_recalls(names)
    assert isinstance(answers[names[2]], DatablockUnreadable)
    assert [name for name, answer in answers.items() if isinstance(answer, RecallError)] == [names[2]]
    assert {rig.file(name).recall for name in names if name != names[2]} <= {Recall.SUBMITTED, Recall.STARTED}


def test_a_file_on_a_disabled_tape_is_unavailable(make_rig: MakeRig) -> None:
    rig = make_rig()
    rig.put(A, CONTENT, on_tape=True)
    rig.library.disable_tape("VB0001")
    with pytest.raises(StoreUnavailable, match="unavailable at the moment"):
        rig.state(A)


def test_archives_are_read_where_read_url_says(make_rig: MakeRig) -> None:
    other = make_rig()
    other.put(A, b"from the other door")
    rig = make_rig(read_url=f"{other.url}/archive/raw")
    assert read_all(rig.store, A) == b"from the other door"


def test_an_archive_that_is_replaced_between_its_parts_is_a_read_error(make_rig: MakeRig) -> None:
    rig = make_rig()
    rig.put(A, CONTENT)
    assert read_all(rig.store, A, length=1000) == CONTENT[:1000]
    rig.library.remove(A)
    rig.put(A, CONTENT + b"more")
    with pytest.raises(OSError, match="replaced"):
        read_all(rig.store, A, start=1000)


def test_a_part_past_the_end_is_empty(make_rig: MakeRig) -> None:
    rig = make_rig()
    rig.put(A, CONTENT)
    assert read_all(rig.store, A, start=len(CONTENT)) == b""


def test_a_token_file_is_read_anew_when_it_was_renewed(make_rig: MakeRig, tmp_path: Path) -> None:
    file, renewed = tmp_path / "token", tmp_path / "renewed"
    file.write_text("first-token\n")
    rig = make_rig(tokens=("first-token",), token_file=str(file))
    rig.put(A, CONTENT)
    assert rig.locality(A) is Locality.ONLINE
    rig.server.tokens = {"other-token"}
    with pytest.raises(StoreRefusesAccount):
        rig.state(A)
    renewed.write_text("other-token\n")
    renewed.replace(file)
    assert rig.locality(A) is Locality.ONLINE
    assert read_all(rig.store, A) == CONTENT


def test_a_wrong_token_is_an_account_that_is_refused_for_reading_too(make_rig: MakeRig) -> None:
    rig = make_rig()
    rig.put(A, CONTENT)
    rig.server.tokens = {"another"}
    with pytest.raises(StoreRefusesAccount):
        read_all(rig.store, A)


async def ten_bytes_of_a_hundred(receive: Receive, send: Send) -> None:
    """Say a hundred bytes and send ten."""
    await receive()
    headers = [(b"content-length", b"100")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": bytes(10), "more_body": True})


async def stalls(_: Scope, receive: Receive, send: Send) -> None:
    """Send ten bytes and then nothing."""
    await ten_bytes_of_a_hundred(receive, send)
    while (await receive())["type"] != "http.disconnect":
        pass


def test_closing_an_archive_ends_a_read_that_blocks(make_rig: MakeRig) -> None:
    ended, buffer = threading.Event(), memoryview(bytearray(100))
    with served(stalls) as url:
        with make_rig(read_url=url).store.open(A) as source:

            def read_on() -> None:
                with suppress(OSError):
                    source.readinto(buffer)
                ended.set()

            assert source.readinto(buffer) == 10
            threading.Thread(target=read_on, daemon=True).start()
            assert not ended.wait(0.05)
        wait_for(ended.is_set)


def test_a_connection_that_ends_before_the_last_byte_is_a_read_error(make_rig: MakeRig) -> None:
    async def breaks_off(_: Scope, receive: Receive, send: Send) -> None:
        await ten_bytes_of_a_hundred(receive, send)

    buffer = memoryview(bytearray(100))
    with served(breaks_off) as url, make_rig(read_url=url).store.open(A) as source:
        assert source.readinto(buffer) == 10
        for _ in range(2):
            with pytest.raises(OSError, match=r"broke off|fewer bytes"):
                source.readinto(buffer)


def test_a_store_that_is_silent_while_it_is_read_has_timed_out(make_rig: MakeRig) -> None:
    with served(stalls) as url, pytest.raises(TimeoutError):
        read_all(make_rig(read_url=url, read_timeout=2).store, A)


# TLS


def test_a_server_is_trusted_by_the_ca_that_the_settings_name(make_rig: MakeRig, tls: Tls) -> None:
    rig = make_rig(tls=tls)
    rig.put(A, CONTENT)
    assert rig.locality(A) is Locality.ONLINE
    assert read_all(rig.store, A) == CONTENT


def test_a_folder_of_hashed_ca_files_is_trusted(
    make_rig: MakeRig, tls: Tls, authority: trustme.CA, ca_file: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "certificates"
    folder.mkdir()
    (folder / f"{_subject_hash(ca_file)}.0").write_bytes(authority.cert_pem.bytes())
    rig = make_rig(tls=tls, ca_file=str(folder))
    rig.put(A, CONTENT)
    assert rig.locality(A) is Locality.ONLINE


def test_a_server_of_an_unknown_ca_gets_nothing(make_rig: MakeRig, tls: Tls, tmp_path: Path) -> None:
    trustme.CA().cert_pem.write_to_path(tmp_path / "other.pem")
    rig = make_rig(tls=tls, ca_file=str(tmp_path / "other.pem"))
    with pytest.raises(StoreUnavailable, match="certificate"):
        rig.state(A)
    assert rig.server.received == []


@pytest.fixture
def client_tls(tls: Tls, ca_file: Path) -> Tls:
    """A server that lets in who has a certificate."""
    return Tls(tls.certificate, clients=ca_file)


def write_certificate(authority: trustme.CA, file: Path) -> None:
    authority.issue_cert("retriever@example.org").private_key_and_cert_chain_pem.write_to_path(file)


def test_a_client_s_certificate_opens_the_api_and_the_door(
    make_rig: MakeRig, client_tls: Tls, authority: trustme.CA, tmp_path: Path
) -> None:
    write_certificate(authority, tmp_path / "proxy.pem")
    rig = make_rig(tls=client_tls, tokens=(), certificate=str(tmp_path / "proxy.pem"))
    rig.put(A, CONTENT, on_tape=True)
    rig.request(A)
    rig.deliver(A)
    assert rig.locality(A) is Locality.ONLINE
    assert read_all(rig.store, A) == CONTENT


def test_without_a_certificate_a_server_that_wants_one_is_unavailable(
    make_rig: MakeRig, client_tls: Tls
) -> None:
    rig = make_rig(tls=client_tls, tokens=())
    with pytest.raises(StoreUnavailable):
        recall_state(rig.store, A)
    assert rig.server.received == []


def test_a_renewed_certificate_is_read_anew(
    make_rig: MakeRig, client_tls: Tls, authority: trustme.CA, tmp_path: Path
) -> None:
    file, renewed = tmp_path / "proxy.pem", tmp_path / "renewed.pem"
    write_certificate(trustme.CA(), file)
    rig = make_rig(tls=client_tls, tokens=(), certificate=str(file))
    rig.put(A, CONTENT)
    with pytest.raises(StoreUnavailable):
        rig.state(A)
    write_certificate(authority, renewed)
    renewed.replace(file)
    assert rig.locality(A) is Locality.ONLINE


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_a_certificate_that_cannot_be_used_is_named(
    make_rig: MakeRig, tmp_path: Path, content: str | None
) -> None:
    if content is not None:
        (tmp_path / "proxy.pem").write_text(content)
    rig = make_rig(certificate=str(tmp_path / "proxy.pem"))
    with pytest.raises(StoreRefusesAccount, match=r"proxy\.pem"):
        rig.state(A)


def _subject_hash(ca_file: Path) -> str:
    """Give the name under which OpenSSL looks for a CA in a folder (`openssl x509 -subject_hash`)."""
    command = ["openssl", "x509", "-noout", "-subject_hash", "-in", str(ca_file)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
