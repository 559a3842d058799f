"""The Tape REST store: recalls that end in silence, accounts without a right, and questions that hang."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import httpx2
import pytest

from scicat_retriever.domain.errors import DatablockUnreadable, StoreRefusesAccount, StoreTimedOut
from scicat_retriever.ports.long_term_store import AskedArchive, Locality, RecallState
from tests.unit.storage.lts.wlcg.tape_rest_backend import A, B, Server, archiveinfo, state, word

# Recalls that nothing is seen of


def unstated(**more: object) -> httpx2.Response:
    """The answer of a server that gives no states, such as EOS, on a request for a file that is on tape."""
    return httpx2.Response(200, json={"files": [{"path": "/raw/a.tar", "onDisk": False}], **more})


DAY = 86400.0


def on_tape(progress: httpx2.Response) -> Server:
    made = httpx2.Response(201, json={"requestId": "r"})
    return Server(POST_archiveinfo=archiveinfo(a="TAPE"), POST_stage=made, GET_stage=progress)


@pytest.mark.parametrize("created_at", [{}, {"createdAt": 1000}], ids=["no moment", "a wrong clock"])
def test_a_recall_that_nothing_is_seen_of_for_long_is_on_tape_and_may_be_asked_for_again(
    created_at: dict[str, object],
) -> None:
    clock = [1e9]
    store = on_tape(unstated(**created_at)).store(lambda: clock[0], ask_again_after=DAY)
    store.request_recalls([A])
    clock[0] += DAY - 1
    assert state(store, request="r").locality is Locality.RECALLING
    clock[0] += 1
    late = state(store, request="r")
    assert (late.locality, "nothing was seen of it for 86400 s" in late.reason) == (Locality.OFFLINE, True)


def test_of_a_request_that_another_process_made_the_server_tells_the_age() -> None:
    clock = [1e9]
    store = on_tape(unstated(createdAt=int(1e9 - DAY))).store(lambda: clock[0], ask_again_after=DAY)
    assert state(store, request="r").locality is Locality.OFFLINE


def test_of_a_request_of_unknown_age_its_first_sight_counts() -> None:
    clock = [1e9]
    store = on_tape(unstated()).store(lambda: clock[0], ask_again_after=DAY)
    assert state(store, request="r").locality is Locality.RECALLING
    clock[0] += DAY
    assert state(store, request="r").locality is Locality.OFFLINE


def test_a_server_that_gives_states_is_believed_however_long_it_takes() -> None:
    clock = [1e9]
    files = [{"path": "/raw/a.tar", "state": "SUBMITTED"}]
    store = on_tape(httpx2.Response(200, json={"createdAt": 1, "files": files})).store(lambda: clock[0])
    store.request_recalls([A])
    clock[0] += 100 * DAY
    assert state(store, request="r").locality is Locality.RECALLING


def test_a_request_that_the_account_may_not_ask_about_is_not_asked_for_anew_at_each_look() -> None:
    clock = [1e9]
    store = on_tape(httpx2.Response(403)).store(lambda: clock[0], ask_again_after=DAY)
    store.request_recalls([A])
    assert isinstance(word(store, request="r"), StoreRefusesAccount)
    clock[0] += DAY
    assert state(store, request="r") == RecallState(Locality.OFFLINE, reason="it is on tape")


# An account without a right


@pytest.mark.parametrize(
    "said", [archiveinfo(a="DISK", b="DISK"), httpx2.Response(200, json=[])], ids=["on disk", "not said"]
)
def test_an_account_that_may_read_nothing_makes_no_archive_unreadable(
    said: httpx2.Response | Callable[[httpx2.Request], httpx2.Response],
) -> None:
    server = Server(POST_archiveinfo=said, HEAD_file=httpx2.Response(403))
    with pytest.raises(StoreRefusesAccount, match="403"):
        server.store().recall_states([AskedArchive(A), AskedArchive(B)])
    assert isinstance(
        word(Server(POST_archiveinfo=said, HEAD_file=httpx2.Response(403)).store()), DatablockUnreadable
    )


def test_a_file_that_may_not_be_read_beside_one_that_may_is_its_own_matter() -> None:
    def picky(request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(403 if "a.tar" in request.url.path else 200)

    server = Server(POST_archiveinfo=archiveinfo(a="DISK", b="DISK"), HEAD_file=picky)
    answers = server.store().recall_states([AskedArchive(A), AskedArchive(B)])
    assert (type(answers[A]), type(answers[B])) == (DatablockUnreadable, RecallState)


# Questions that hang


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """Has questions hang until it is set, at the latest when the test ends."""
    event = threading.Event()
    yield event
    event.set()


def test_a_request_whose_progress_is_not_told_keeps_no_other_archive_from_an_answer(
    gate: threading.Event,
) -> None:
    def hangs(request: httpx2.Request) -> httpx2.Response:
        if request.url.path.endswith("/bad"):
            gate.wait(60)
        return httpx2.Response(200, json={"files": []})

    server = Server(
        POST_archiveinfo=archiveinfo(a="TAPE", b="DISK"), GET_stage=hangs, HEAD_file=httpx2.Response(200)
    )
    store = server.store(answer_timeout=4)
    for _ in range(3):
        answers = store.recall_states([AskedArchive(A, "bad"), AskedArchive(B, "good")])
        assert isinstance(answers[A], StoreTimedOut)
        assert answers[B] == RecallState(Locality.ONLINE, None)
        assert isinstance(word(store, request="bad"), StoreTimedOut)
