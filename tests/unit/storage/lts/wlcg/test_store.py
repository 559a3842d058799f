"""The Tape REST store: what it sends, and what it makes of answers, also of those that no honest server gives."""

from __future__ import annotations

import json
from collections.abc import Callable

import httpx2
import pytest

from scicat_retriever.domain.errors import (
    ArchiveIdUnsafe,
    DatablockMissing,
    DatablockUnreadable,
    StoreRefusesAccount,
    StoreTimedOut,
    StoreUnavailable,
)
from scicat_retriever.domain.ids import ArchiveId
from scicat_retriever.ports.long_term_store import AskedArchive, Locality, RecallState
from scicat_retriever.storage.lts.wlcg.http import LARGEST_ANSWER
from tests.unit.storage.lts.wlcg.tape_rest_backend import A, B, Server, archiveinfo, state, word

# What is sent


def test_nothing_but_the_keys_of_the_specification_is_sent() -> None:
    server = Server(POST_stage=httpx2.Response(201, json={"requestId": "r"}))
    assert server.store(disk_lifetime=3600).request_recalls([A]) == {A: "r"}
    assert json.loads(server.asked[0].content) == {
        "files": [{"path": "/raw/a.tar", "diskLifetime": "PT3600S"}]
    }


def test_archives_of_one_batch_are_staged_by_one_request_in_their_order() -> None:
    server = Server(POST_stage=httpx2.Response(201, json={"requestId": "r"}))
    server.store().request_recalls([B, A, ArchiveId("//b.tar"[2:])])
    assert server.paths_asked() == [["/raw/b.tar", "/raw/a.tar"]]


def test_a_request_id_cannot_lead_to_another_path() -> None:
    server = Server(POST_archiveinfo=archiveinfo(a="TAPE"))
    word(server.store(), request="../release/x?y#z")
    assert server.asked[0].url.raw_path == b"/api/v1/stage/..%2Frelease%2Fx%3Fy%23z"


def test_a_name_that_is_not_unicode_is_refused_before_anything_is_sent() -> None:
    server = Server()
    answers = server.store().request_recalls([ArchiveId("a\udcff.tar")])
    assert isinstance(answers[ArchiveId("a\udcff.tar")], ArchiveIdUnsafe)
    assert server.asked == []


# Answers


@pytest.mark.parametrize(
    "answer",
    [
        httpx2.Response(200, content=b"<html>"),
        httpx2.Response(200, json={"files": []}),
        httpx2.Response(200, content=b" " * (LARGEST_ANSWER + 1)),
        httpx2.Response(500, content=b"\0" * 1000),
        httpx2.Response(302),
        httpx2.Response(404, text="no such page"),
    ],
)
def test_an_answer_that_is_none_is_a_store_that_is_unavailable(answer: httpx2.Response) -> None:
    with pytest.raises(StoreUnavailable):
        word(Server(POST_archiveinfo=answer).store())


@pytest.mark.parametrize("error", [httpx2.ReadTimeout("slow"), httpx2.ConnectTimeout("slow")])
def test_a_server_that_is_silent_has_timed_out(error: httpx2.TimeoutException) -> None:
    def silent(_: httpx2.Request) -> httpx2.Response:
        raise error

    with pytest.raises(StoreTimedOut):
        word(Server(POST_archiveinfo=silent).store())


def test_an_answer_that_trickles_ends_at_its_deadline() -> None:
    def endless(_: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, content=(b" " for _ in iter(int, 1)))

    with pytest.raises(StoreTimedOut):
        word(Server(POST_archiveinfo=endless).store(answer_timeout=0.05))


def test_paths_that_nobody_asked_for_are_passed_over() -> None:
    strange = httpx2.Response(
        200,
        json=[
            {"path": "/etc/passwd", "locality": "DISK"},
            7,
            None,
            {"path": "/raw/a.tar", "locality": "TAPE"},
        ],
    )
    assert state(Server(POST_archiveinfo=strange).store()).locality is Locality.OFFLINE


def test_what_an_answer_leaves_out_is_asked_for_again() -> None:
    def cut(request: httpx2.Request) -> httpx2.Response:
        paths = json.loads(request.content)["paths"][:3]
        return httpx2.Response(200, json=[{"path": path, "locality": "TAPE"} for path in paths])

    server = Server(POST_archiveinfo=cut)
    wanted = [AskedArchive(ArchiveId(f"{number}.tar")) for number in range(10)]
    answers = server.store().recall_states(wanted)
    assert {each.locality for each in answers.values() if isinstance(each, RecallState)} == {Locality.OFFLINE}
    assert len(answers) == 10
    assert [len(paths) for paths in server.paths_asked()] == [10, 3, 3, 1]


def test_a_server_that_answers_nothing_at_all_is_not_asked_for_each_file() -> None:
    server = Server(POST_archiveinfo=httpx2.Response(200, json=[]), HEAD_file=httpx2.Response(200))
    wanted = [AskedArchive(ArchiveId(f"{number}.tar")) for number in range(64)]
    answers = server.store().recall_states(wanted)
    assert {type(answer) for answer in answers.values()} == {StoreUnavailable}
    assert len(server.paths_asked()) == 7


def test_one_file_that_spoils_a_batch_is_found_and_the_others_are_staged() -> None:
    def picky(request: httpx2.Request) -> httpx2.Response:
        paths = [file["path"] for file in json.loads(request.content)["files"]]
        if "/raw/5.tar" in paths:
            return httpx2.Response(403, json={"title": "Forbidden", "detail": "5 is out of scope"})
        return httpx2.Response(201, json={"requestId": "r"})

    archive_ids = [ArchiveId(f"{number}.tar") for number in range(8)]
    answers = Server(POST_stage=picky).store().request_recalls(archive_ids)
    refused = answers[ArchiveId("5.tar")]
    assert isinstance(refused, DatablockUnreadable)
    assert "5 is out of scope" in str(refused)
    assert [answers[each] for each in archive_ids if each != "5.tar"] == ["r"] * 7


def test_an_account_without_the_right_is_noticed_after_a_few_files() -> None:
    server = Server(POST_stage=httpx2.Response(403, json={"title": "Forbidden"}))
    with pytest.raises(StoreRefusesAccount):
        server.store().request_recalls([ArchiveId(f"{number}.tar") for number in range(64)])
    assert len(server.asked) < 20


def test_files_that_are_refused_one_by_one_keep_no_others_from_an_answer() -> None:
    def picky(request: httpx2.Request) -> httpx2.Response:
        paths = json.loads(request.content)["paths"]
        if any("forbidden" in path for path in paths):
            return httpx2.Response(403, json={"title": "Forbidden"})
        return httpx2.Response(200, json=[{"path": path, "locality": "TAPE"} for path in paths[:2]])

    names = [ArchiveId(f"{'forbidden/' if number % 3 == 0 else ''}{number}.tar") for number in range(12)]
    answers = Server(POST_archiveinfo=picky).store().recall_states([AskedArchive(name) for name in names])
    refused = [name for name, answer in answers.items() if isinstance(answer, DatablockUnreadable)]
    assert refused == [name for name in names if name.startswith("forbidden")]
    assert sum(isinstance(answer, RecallState) for answer in answers.values()) == 8


def test_an_api_that_is_not_where_the_settings_say_makes_nothing_missing() -> None:
    with pytest.raises(StoreUnavailable, match="where the settings say"):
        Server().store().recall_states([AskedArchive(A), AskedArchive(B)])


@pytest.mark.parametrize("status", [400, 403])
def test_one_archive_that_is_refused_alone_is_its_own_matter(status: int) -> None:
    answer = httpx2.Response(status)
    server = Server(POST_archiveinfo=answer, POST_stage=answer)
    assert isinstance(word(server.store()), DatablockUnreadable)
    assert isinstance(server.store().request_recalls([A])[A], DatablockUnreadable)


def test_archives_that_are_refused_for_different_reasons_say_nothing_of_the_store() -> None:
    def picky(request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(403 if b"a.tar" in request.content else 400)

    answers = Server(POST_archiveinfo=picky).store().recall_states([AskedArchive(A), AskedArchive(B)])
    assert {type(answer) for answer in answers.values()} == {DatablockUnreadable}


def test_what_was_asked_for_before_the_server_broke_down_keeps_its_request() -> None:
    def breaks_down(request: httpx2.Request) -> httpx2.Response:
        names = [file["path"] for file in json.loads(request.content)["files"]]
        if len(names) > 1:
            return httpx2.Response(400)
        return (
            httpx2.Response(201, json={"requestId": "r"}) if names == ["/raw/a.tar"] else httpx2.Response(500)
        )

    answers = Server(POST_stage=breaks_down).store().request_recalls([A, B])
    assert (answers[A], type(answers[B])) == ("r", StoreUnavailable)


# Localities


def test_a_file_on_tape_whose_request_cannot_be_asked_about_is_not_said_to_be_on_tape_alone() -> None:
    server = Server(POST_archiveinfo=archiveinfo(a="TAPE", b="TAPE"), GET_stage=httpx2.Response(500))
    answers = server.store().recall_states([AskedArchive(A, "r"), AskedArchive(B)])
    assert isinstance(answers[A], StoreUnavailable)
    assert isinstance(answers[B], RecallState)


def test_a_file_that_is_unavailable_is_neither_on_its_way_nor_merely_on_tape() -> None:
    answer = word(Server(POST_archiveinfo=archiveinfo(a="UNAVAILABLE")).store())
    assert isinstance(answer, StoreUnavailable)


def test_a_file_that_is_unavailable_while_its_recall_goes_on_is_on_its_way() -> None:
    progress = httpx2.Response(200, json={"files": [{"path": "/raw/a.tar", "state": "STARTED"}]})
    server = Server(POST_archiveinfo=archiveinfo(a="UNAVAILABLE"), GET_stage=progress)
    assert state(server.store(), request="r").locality is Locality.RECALLING


def test_progress_is_asked_for_once_for_each_request() -> None:
    files = [{"path": f"/raw/{name}.tar", "state": "SUBMITTED"} for name in "ab"]
    server = Server(
        POST_archiveinfo=archiveinfo(a="TAPE", b="TAPE"),
        GET_stage=httpx2.Response(200, json={"files": files}),
    )
    server.store().recall_states([AskedArchive(A, "r"), AskedArchive(B, "r")])
    assert [request.method for request in server.asked] == ["GET", "POST"]


def test_a_recall_that_ends_while_its_state_is_asked_for_is_online() -> None:
    def ends(_: httpx2.Request) -> httpx2.Response:
        server.answers["POST_archiveinfo"] = archiveinfo(a="DISK_AND_TAPE")
        return httpx2.Response(200, json={"files": [{"path": "/raw/a.tar", "state": "COMPLETED"}]})

    server = Server(POST_archiveinfo=archiveinfo(a="TAPE"), GET_stage=ends, HEAD_file=httpx2.Response(200))
    assert state(server.store(), request="r").locality is Locality.ONLINE


def test_what_was_recalled_and_left_the_disk_again_is_on_tape() -> None:
    ended = httpx2.Response(200, json={"files": [{"path": "/raw/a.tar", "state": "COMPLETED"}]})
    answer = state(Server(POST_archiveinfo=archiveinfo(a="TAPE"), GET_stage=ended).store(), request="r")
    assert (answer.locality, "again" in answer.reason) == (Locality.OFFLINE, True)


def test_a_request_that_the_server_forgot_leaves_the_file_on_tape() -> None:
    server = Server(POST_archiveinfo=archiveinfo(a="TAPE"), GET_stage=httpx2.Response(404))
    assert state(server.store(), request="r") == RecallState(Locality.OFFLINE, reason="it is on tape")


def test_a_file_that_is_on_disk_only_for_the_api_is_not_online() -> None:
    server = Server(POST_archiveinfo=archiveinfo(a="DISK"), HEAD_file=httpx2.Response(404))
    answer = word(server.store())
    assert isinstance(answer, StoreUnavailable)
    assert "read_url" in str(answer)


def test_a_door_that_takes_no_head_leaves_the_size_open() -> None:
    server = Server(POST_archiveinfo=archiveinfo(a="DISK"), HEAD_file=httpx2.Response(405))
    assert state(server.store()) == RecallState(Locality.ONLINE, None)


def test_a_missing_file_is_named() -> None:
    said = httpx2.Response(200, json=[{"path": "/raw/20/a.tar", "error": "no such file"}])
    store = Server(POST_archiveinfo=said).store(path_template="20/{archive_id}")
    missing = word(store)
    assert (type(missing), str(missing)) == (
        DatablockMissing,
        "the long-term store has no a.tar: the store has no /raw/20/a.tar (no such file)",
    )
    nowhere = word(Server(POST_archiveinfo=archiveinfo(a="NONE")).store())
    assert (type(nowhere), "/raw/a.tar" in str(nowhere)) == (DatablockMissing, True)


# Releasing


def test_what_is_under_way_is_cancelled_and_everything_released() -> None:
    files = [{"path": "/raw/a.tar", "state": "STARTED"}, {"path": "/raw/b.tar", "state": "COMPLETED"}]
    server = Server(
        GET_stage=httpx2.Response(200, json={"files": files}),
        POST_stage=httpx2.Response(200),
        POST_release=httpx2.Response(200),
    )
    server.store().let_go([AskedArchive(A, "r"), AskedArchive(B, "r"), AskedArchive(ArchiveId("c.tar"))])
    assert [request.url.path for request in server.asked] == [
        "/api/v1/stage/r",
        "/api/v1/stage/r/cancel",
        "/api/v1/release/r",
    ]
    assert server.paths_asked() == [["/raw/a.tar"], ["/raw/a.tar", "/raw/b.tar"]]


def test_releasing_of_a_request_that_the_server_forgot_is_done() -> None:
    server = Server()
    server.store().let_go([AskedArchive(A, "r")])
    assert server.asked[-1].url.path == "/api/v1/release/r"


def test_files_that_are_not_of_the_request_keep_no_others_from_being_released() -> None:
    def picky(request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(400 if b"a.tar" in request.content else 200, json={"title": "File missing"})

    server = Server(POST_release=picky)
    server.store().let_go([AskedArchive(A, "r"), AskedArchive(B, "r")])
    assert server.paths_asked()[-1] == ["/raw/b.tar"]


def test_an_account_that_may_not_release_is_told() -> None:
    server = Server(POST_release=httpx2.Response(403))
    with pytest.raises(StoreRefusesAccount):
        server.store().let_go([AskedArchive(A, "r")])


def broken_for(request_id: str, status: int = 500) -> Callable[[httpx2.Request], httpx2.Response]:
    def answer(request: httpx2.Request) -> httpx2.Response:
        broken = request.url.path.endswith(f"/{request_id}")
        return httpx2.Response(status) if broken else httpx2.Response(200, json={"files": []})

    return answer


def test_a_request_that_cannot_be_asked_about_is_released_all_the_same() -> None:
    server = Server(GET_stage=broken_for("r"), POST_release=httpx2.Response(200))
    server.store().let_go([AskedArchive(A, "r")])
    assert server.paths_asked() == [["/raw/a.tar"]]


def test_a_request_that_cannot_be_released_keeps_no_other_from_it() -> None:
    server = Server(GET_stage=broken_for("r"), POST_release=broken_for("r"))
    server.store().let_go([AskedArchive(A, "r"), AskedArchive(B, "s")])
    assert ["/raw/b.tar"] in server.paths_asked()


def test_a_server_that_can_be_told_of_no_release_is_unavailable() -> None:
    server = Server(GET_stage=httpx2.Response(500), POST_release=httpx2.Response(500))
    with pytest.raises(StoreUnavailable):
        server.store().let_go([AskedArchive(A, "r"), AskedArchive(B, "s")])
