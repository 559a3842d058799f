"""What an S3 does not do for one object keeps no other from an answer."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from typing import Any

import pytest

from scicat_retriever.domain.errors import RecallError, StoreRefusesAccount, StoreTimedOut, StoreUnavailable
from scicat_retriever.domain.ids import ArchiveId
from scicat_retriever.ports.long_term_store import AskedArchive, Locality, RecallState
from scicat_retriever.storage.lts.glacier.store import S3Glacier
from tests.contracts.lts.glacier_settings import settings
from tests.contracts.test_long_term_store import wait_for
from tests.integration.glacier_server import GlacierServer

CONTENT = b"archived"
GOOD = [ArchiveId(f"proposal/{number}.tar") for number in range(4)]
BAD = ArchiveId("proposal/bad.tar")
ALL = [*GOOD[:2], BAD, *GOOD[2:]]
REFUSALS = {
    "an SSE-C object": ("InvalidRequest", ("head", "get")),
    "a disabled key": ("KMS.DisabledException", ("head", "get")),
    "a damaged object": ("InternalError", ("head",)),
    "a closed object": ("AllAccessDisabled", ("head", "get")),
    "a restore that fails": ("InternalError", ("restore",)),
}


@pytest.fixture
def archived(glacier: GlacierServer) -> GlacierServer:
    for each in ALL:
        glacier.put(each, CONTENT, "GLACIER")
    return glacier


def store_of(glacier: GlacierServer, **others: Any) -> S3Glacier:
    return S3Glacier(settings(glacier.port, **others))


def kind_of(error: RecallError | str) -> type:
    return StoreTimedOut if isinstance(error, StoreTimedOut) else type(error)


def localities(store: S3Glacier, asked: Iterable[ArchiveId]) -> dict[ArchiveId, Locality | type]:
    answers = store.recall_states([AskedArchive(each) for each in asked])
    return {
        each: said.locality if isinstance(said, RecallState) else kind_of(said)
        for each, said in answers.items()
    }


class TestOneThatIsRefused:
    @pytest.mark.parametrize(("code", "kinds"), REFUSALS.values(), ids=REFUSALS)
    def test_the_others_are_recalled(
        self, archived: GlacierServer, code: str, kinds: tuple[str, ...]
    ) -> None:
        archived.refused_keys[BAD] = dict.fromkeys(kinds, code)
        answers = store_of(archived).request_recalls(ALL)
        assert type(answers.pop(BAD)) is StoreUnavailable
        assert answers == dict.fromkeys(GOOD, "")
        assert all(archived.objects[each].ongoing for each in GOOD)

    @pytest.mark.parametrize(
        ("code", "kinds"),
        [each for each in REFUSALS.values() if "head" in each[1]],
        ids=str,
    )
    def test_it_is_said_where_the_others_are(
        self, archived: GlacierServer, code: str, kinds: tuple[str, ...]
    ) -> None:
        archived.refused_keys[BAD] = dict.fromkeys(kinds, code)
        expected = {**dict.fromkeys(GOOD, Locality.OFFLINE), BAD: StoreUnavailable}
        assert localities(store_of(archived), ALL) == expected

    def test_asked_about_alone_it_has_its_own_error_and_the_store_is_not_away(
        self, archived: GlacierServer
    ) -> None:
        archived.refused_keys[BAD] = {"head": "InvalidRequest", "get": "InvalidRequest"}
        assert localities(store_of(archived), [BAD]) == {BAD: StoreUnavailable}
        assert type(store_of(archived).request_recalls([BAD])[BAD]) is StoreUnavailable

    def test_a_folder_that_cannot_be_listed_keeps_no_other_from_an_answer(
        self, archived: GlacierServer
    ) -> None:
        folder = [ArchiveId(f"broken/{number}.tar") for number in range(10)]
        archived.refused_keys["broken/"] = {"list": "InternalError"}
        expected = {**dict.fromkeys(folder, StoreUnavailable), **dict.fromkeys(GOOD, Locality.OFFLINE)}
        assert localities(store_of(archived), [*folder, *GOOD]) == expected


class TestOneThatHangs:
    def test_it_is_said_where_the_others_are(self, archived: GlacierServer) -> None:
        archived.held_keys["head", BAD] = threading.Event()
        expected = {**dict.fromkeys(GOOD, Locality.OFFLINE), BAD: StoreTimedOut}
        assert localities(store_of(archived, answer_timeout=4), ALL) == expected

    def test_the_others_are_recalled(self, archived: GlacierServer) -> None:
        archived.held_keys["head", BAD] = threading.Event()
        answers = store_of(archived, answer_timeout=10).request_recalls(ALL)
        assert kind_of(answers.pop(BAD)) is StoreTimedOut
        assert answers == dict.fromkeys(GOOD, "")
        assert all(archived.objects[each].ongoing for each in GOOD)

    def test_asked_about_alone_it_has_its_own_error_and_takes_one_thread(
        self, archived: GlacierServer
    ) -> None:
        archived.held_keys["head", BAD] = threading.Event()
        store = store_of(archived, answer_timeout=4, parallel_requests=2)
        localities(store, ALL)
        assert [localities(store, [BAD]) for _ in range(3)] == [{BAD: StoreTimedOut}] * 3
        assert len([each for each in archived.received if each.key == BAD]) == 1

    def test_a_restore_that_hangs_does_not_hide_where_it_is(self, archived: GlacierServer) -> None:
        store = store_of(archived, answer_timeout=6)
        archived.held_keys["restore", BAD] = threading.Event()
        with pytest.raises(StoreTimedOut):
            store.request_recalls([BAD])
        assert localities(store, [BAD]) == {BAD: Locality.OFFLINE}

    def test_a_listing_that_hangs_is_done_without(self, glacier: GlacierServer) -> None:
        folder = [ArchiveId(f"slow/{number}.tar") for number in range(10)]
        for each in folder:
            glacier.put(each, CONTENT)
        glacier.held_keys["list", "slow/"] = threading.Event()
        answers = localities(store_of(glacier, answer_timeout=8), folder)
        assert answers == dict.fromkeys(folder, Locality.ONLINE)

    def test_while_all_threads_hang_nothing_more_is_asked_and_nobody_waits(
        self, archived: GlacierServer
    ) -> None:
        archived.held = threading.Event()
        store = store_of(archived, answer_timeout=1, parallel_requests=2)

        def ask() -> None:
            with pytest.raises(StoreTimedOut):
                localities(store, GOOD)

        def both_hang() -> bool:
            ask()
            return len(archived.received) == 2

        wait_for(both_hang)
        ask()  # so that both have hung for as long as an answer may take
        begun = time.monotonic()
        for _ in range(20):
            ask()
        assert (time.monotonic() - begun < 20, len(archived.received)) == (True, 2)


class TestWhatIsAboutTheWholeStore:
    @pytest.mark.parametrize("code", ["InvalidAccessKeyId", "ExpiredToken"])
    def test_a_key_that_is_refused_for_one_is_refused_for_all(
        self, archived: GlacierServer, code: str
    ) -> None:
        archived.refused_keys[BAD] = {"head": code, "get": code}
        with pytest.raises(StoreRefusesAccount):
            localities(store_of(archived), ALL)

    def test_after_that_the_others_are_not_asked(self, archived: GlacierServer) -> None:
        archived.refused = {"head": "InvalidAccessKeyId", "get": "InvalidAccessKeyId"}
        with pytest.raises(StoreRefusesAccount):
            localities(store_of(archived, parallel_requests=1), ALL)
        assert {each.key for each in archived.received} == {ALL[0]}

    def test_no_such_bucket_is_raised_though_only_one_is_asked_about(self, archived: GlacierServer) -> None:
        archived.has_bucket = False
        with pytest.raises(StoreUnavailable):
            store_of(archived).request_recalls([BAD])

    def test_an_s3_without_restores_is_raised_though_only_one_is_to_be_restored(
        self, archived: GlacierServer
    ) -> None:
        archived.refused = {"restore": "NotImplemented"}
        with pytest.raises(StoreUnavailable, match="s3_glacier"):
            store_of(archived).request_recalls([BAD])

    def test_restores_that_the_key_may_not_ask_for_are_refused_one_by_one(
        self, archived: GlacierServer
    ) -> None:
        archived.refused = {"restore": "AccessDenied"}
        answers = store_of(archived).request_recalls(GOOD)
        assert {type(each) for each in answers.values()} == {StoreRefusesAccount}
