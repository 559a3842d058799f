"""How archives are restored and read: the requests that an S3 gets, and what its answers mean."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from scicat_retriever.domain.errors import (
    DatablockMissing,
    DatablockUnreadable,
    NotYetOnline,
    ReadFailed,
    RecallError,
    StoreRefusesAccount,
    StoreTimedOut,
    StoreUnavailable,
)
from scicat_retriever.domain.ids import ArchiveId
from scicat_retriever.ports.long_term_store import AskedArchive, Locality, RecallState
from scicat_retriever.storage.lts.glacier.store import S3Glacier
from tests.contracts.lts.glacier_settings import settings
from tests.integration.glacier_server import SECRET, GlacierServer

A = ArchiveId("proposal/a.tar")
B = ArchiveId("proposal/b.tar")
CONTENT = bytes(range(256)) * 400
NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
MakeStore = Callable[..., S3Glacier]


@pytest.fixture
def make_store(glacier: GlacierServer) -> MakeStore:
    def make(**others: Any) -> S3Glacier:
        return S3Glacier(settings(glacier.port, **others), now=lambda: NOW)

    return make


@pytest.fixture
def store(make_store: MakeStore) -> S3Glacier:
    return make_store()


def names(count: int) -> list[ArchiveId]:
    return [ArchiveId(f"proposal/{number:04}.tar") for number in range(count)]


def states(store: S3Glacier, *archive_ids: ArchiveId) -> dict[ArchiveId, RecallState | RecallError]:
    return store.recall_states([AskedArchive(each) for each in archive_ids])


def state(store: S3Glacier, archive_id: ArchiveId = A) -> RecallState:
    answer = states(store, archive_id)[archive_id]
    assert isinstance(answer, RecallState)
    return answer


def read(store: S3Glacier, start: int = 0, length: int | None = None) -> bytes:
    buffer, content = memoryview(bytearray(1 << 16)), bytearray()
    with store.open(A, start, length) as source:
        while count := source.readinto(buffer):
            content += buffer[:count]
    return bytes(content)


def restores(glacier: GlacierServer) -> list[tuple[int, str]]:
    return [(each.days, each.tier) for each in glacier.asked("restore")]


class TestWhereAnArchiveIs:
    @pytest.mark.parametrize(
        "storage_class", ["STANDARD", "STANDARD_IA", "GLACIER_IR", "INTELLIGENT_TIERING", "OF_SOME_OTHER_S3"]
    )
    def test_what_can_be_read_at_once_is_online(
        self, glacier: GlacierServer, store: S3Glacier, storage_class: str
    ) -> None:
        glacier.put(A, CONTENT, storage_class)
        assert state(store) == RecallState(Locality.ONLINE, len(CONTENT))

    @pytest.mark.parametrize("storage_class", ["GLACIER", "DEEP_ARCHIVE"])
    def test_what_is_archived_is_offline(
        self, glacier: GlacierServer, store: S3Glacier, storage_class: str
    ) -> None:
        glacier.put(A, CONTENT, storage_class)
        assert (state(store).locality, storage_class in state(store).reason) == (Locality.OFFLINE, True)

    def test_an_archive_tier_of_intelligent_tiering_is_offline(
        self, glacier: GlacierServer, store: S3Glacier
    ) -> None:
        glacier.put(A, CONTENT, "INTELLIGENT_TIERING", archive_status="DEEP_ARCHIVE_ACCESS")
        assert state(store).locality is Locality.OFFLINE

    def test_a_storage_class_of_another_s3_that_is_named_in_the_settings_is_offline(
        self, glacier: GlacierServer, make_store: MakeStore
    ) -> None:
        glacier.put(A, CONTENT, "TAPE")
        assert state(make_store(archive_classes=["TAPE"])).locality is Locality.OFFLINE

    def test_what_is_being_restored_is_recalling(self, glacier: GlacierServer, store: S3Glacier) -> None:
        glacier.put(A, CONTENT, "GLACIER", ongoing=True)
        assert state(store).locality is Locality.RECALLING

    @pytest.mark.parametrize(
        ("hours", "locality"),
        [(13, Locality.ONLINE), (11, Locality.OFFLINE), (-1, Locality.OFFLINE)],
        ids=["lasts", "expires-soon", "expired"],
    )
    def test_a_restored_copy_is_online_while_it_lasts_long_enough(
        self, glacier: GlacierServer, make_store: MakeStore, hours: int, locality: Locality
    ) -> None:
        expires = NOW + timedelta(hours=hours)
        glacier.put(A, CONTENT, "GLACIER", ongoing=False, expires=expires)
        told = state(make_store(extend_before=12 * 3600))
        assert (told.locality, f"{expires:%Y-%m-%d %H:%M} UTC" in told.reason) == (locality, True)

    def test_a_restore_that_is_said_to_have_no_end_is_believed_where_a_byte_is_given(
        self, glacier: GlacierServer, store: S3Glacier
    ) -> None:
        glacier.put(A, CONTENT, "GLACIER", ongoing=False)
        assert state(store).locality is Locality.ONLINE
        assert [each.range for each in glacier.asked("get")] == ["bytes=0-0"]

    def test_a_restore_that_is_said_to_have_no_end_is_not_believed_where_no_byte_is_given(
        self, glacier: GlacierServer, store: S3Glacier
    ) -> None:
        glacier.put(A, CONTENT, "GLACIER", ongoing=False, offline=True)
        told = state(store)
        assert (told.locality, "`archive_classes`" in told.reason) == (Locality.OFFLINE, True)
        with pytest.raises(NotYetOnline, match="InvalidObjectState"), store.open(A):
            pass

    def test_an_empty_object_has_no_byte_to_ask_for(self, glacier: GlacierServer, store: S3Glacier) -> None:
        glacier.put(A, b"", "GLACIER", ongoing=False)
        assert state(store).locality is Locality.ONLINE

    def test_no_bucket_is_no_missing_archive(self, glacier: GlacierServer, store: S3Glacier) -> None:
        glacier.has_bucket = False
        with pytest.raises(StoreUnavailable, match=r"lts\.bucket"):
            states(store, A)

    def test_one_that_may_not_be_read_keeps_no_other_from_an_answer(
        self, glacier: GlacierServer, store: S3Glacier
    ) -> None:
        glacier.put("secret.tar", CONTENT, forbidden=True)
        glacier.put(A, CONTENT)
        answers = states(store, ArchiveId("secret.tar"), A)
        assert isinstance(answers[ArchiveId("secret.tar")], DatablockUnreadable)
        assert answers[A] == RecallState(Locality.ONLINE, len(CONTENT))

    def test_a_wrong_key_is_refused_as_an_account_and_its_secret_is_not_told(
        self, glacier: GlacierServer, make_store: MakeStore
    ) -> None:
        glacier.put(A, CONTENT)
        with pytest.raises(StoreRefusesAccount, match=r"lts\.access_key_id") as refused:
            states(make_store(access_key_id="another"), A)
        assert SECRET not in str(refused.value)

    def test_an_expired_token_is_refused_as_an_account(
        self, glacier: GlacierServer, store: S3Glacier
    ) -> None:
        glacier.refused = {"head": "ExpiredToken", "get": "ExpiredToken"}
        with pytest.raises(StoreRefusesAccount):
            states(store, A)

    def test_a_wrong_clock_is_no_unreadable_archive(self, glacier: GlacierServer, store: S3Glacier) -> None:
        glacier.refused = {"head": "RequestTimeTooSkewed", "get": "RequestTimeTooSkewed"}
        with pytest.raises(StoreUnavailable, match="clock"):
            states(store, A)

    def test_a_busy_s3_is_unavailable(self, glacier: GlacierServer, store: S3Glacier) -> None:
        glacier.refused = {"head": "SlowDown"}
        with pytest.raises(StoreUnavailable):
            states(store, A, B)

    def test_an_s3_that_is_silent_is_given_up_after_the_time_allowed(
        self, glacier: GlacierServer, make_store: MakeStore
    ) -> None:
        glacier.held = threading.Event()
        begun = time.monotonic()
        with pytest.raises(StoreTimedOut):
            states(make_store(answer_timeout=0.3), *names(5))
        assert time.monotonic() - begun < 5

    def test_no_more_requests_than_allowed_are_sent_at_once(
        self, glacier: GlacierServer, make_store: MakeStore
    ) -> None:
        glacier.held = threading.Event()
        with pytest.raises(StoreTimedOut):
            states(
                make_store(answer_timeout=1.0, parallel_requests=3, use_restore_status="never"), *names(50)
            )
        assert len(glacier.received) <= 3


class TestAskingByListing:
    def test_many_archives_are_asked_for_by_one_listing_where_it_tells_restores(
        self, glacier: GlacierServer, store: S3Glacier
    ) -> None:
        glacier.tells_restores = True
        for number, name in enumerate(asked := names(90)):
            glacier.put(name, CONTENT, "GLACIER", ongoing=[None, True][number % 2])
        glacier.objects[asked[0]].storage_class = "STANDARD"
        answers = states(store, *asked)
        assert [each.locality for each in answers.values() if isinstance(each, RecallState)] == [
            Locality.ONLINE,
            Locality.RECALLING,
            *[Locality.OFFLINE, Locality.RECALLING] * 44,
        ]
        assert [each.kind for each in glacier.received] == ["list"]

    def test_a_restored_copy_is_seen_in_a_listing_with_its_expiry(
        self, glacier: GlacierServer, store: S3Glacier
    ) -> None:
        glacier.tells_restores = True
        for name in (asked := names(10)):
            glacier.put(name, CONTENT, "GLACIER", ongoing=False, expires=NOW + timedelta(days=2))
        assert states(store, *asked)[asked[3]] == RecallState(
            Locality.ONLINE, len(CONTENT), "restored until 2026-06-03 12:00 UTC"
        )
        assert not glacier.asked("head")

    def test_what_a_listing_without_restores_leaves_open_is_asked_for_one_by_one(
        self, glacier: GlacierServer, store: S3Glacier
    ) -> None:
        for number, name in enumerate(asked := names(20)):
            glacier.put(name, CONTENT, "GLACIER" if number < 5 else "STANDARD", ongoing=True)
            glacier.objects[name].ongoing = True if number < 5 else None
        answers = states(store, *asked)
        assert {each.key for each in glacier.asked("head")} == set(asked[:5])
        assert [
            each for each in asked if answers[each] == RecallState(Locality.ONLINE, len(CONTENT))
        ] == asked[5:]

    def test_archive_tiers_which_no_listing_tells_are_asked_for_one_by_one(
        self, glacier: GlacierServer, make_store: MakeStore
    ) -> None:
        glacier.tells_restores = True
        for name in (asked := names(10)):
            glacier.put(name, CONTENT, "INTELLIGENT_TIERING", archive_status="ARCHIVE_ACCESS")
        answers = states(make_store(use_restore_status="always"), *asked)
        assert {each.locality for each in answers.values() if isinstance(each, RecallState)} == {
            Locality.OFFLINE
        }

    @pytest.mark.parametrize("code", ["AccessDenied", "NotImplemented", "InvalidArgument"])
    def test_an_s3_that_lists_nothing_is_asked_one_by_one(
        self, glacier: GlacierServer, store: S3Glacier, code: str
    ) -> None:
        glacier.refused = {"list": code}
        for name in (asked := names(12)):
            glacier.put(name, CONTENT)
        assert set(states(store, *asked).values()) == {RecallState(Locality.ONLINE, len(CONTENT))}

    def test_no_listing_is_asked_for_where_the_settings_say_so(
        self, glacier: GlacierServer, make_store: MakeStore
    ) -> None:
        for name in (asked := names(12)):
            glacier.put(name, CONTENT)
        states(make_store(use_restore_status="never"), *asked)
        assert {each.kind for each in glacier.received} == {"head"}

    def test_archives_beyond_the_first_page_are_found(self, glacier: GlacierServer, store: S3Glacier) -> None:
        for number in range(2500):
            glacier.put(f"proposal/{number:04}.tar", b"x")
        asked = [ArchiveId(f"proposal/{number:04}.tar") for number in range(0, 2500, 100)]
        assert set(states(store, *asked).values()) == {RecallState(Locality.ONLINE, 1)}


class TestAskingForRestores:
    def test_a_restore_is_asked_for_with_its_days_and_tier(
        self, glacier: GlacierServer, make_store: MakeStore
    ) -> None:
        glacier.put(A, CONTENT, "GLACIER")
        assert make_store(days=7, tier="Bulk").request_recalls([A]) == {A: ""}
        assert restores(glacier) == [(7, "Bulk")]
        assert glacier.objects[A].ongoing

    def test_large_archives_take_the_tier_of_their_size(
        self, glacier: GlacierServer, make_store: MakeStore
    ) -> None:
        store = make_store(
            tier="Expedited", tier_by_size={"Standard": 100, "Bulk": 1000}, parallel_requests=1
        )
        for number, size in enumerate((99, 100, 999, 1000)):
            glacier.put(f"{number}.tar", b"x" * size, "GLACIER")
        store.request_recalls([ArchiveId(f"{number}.tar") for number in range(4)])
        assert [each.tier for each in glacier.asked("restore")] == [
            "Expedited",
            "Standard",
            "Standard",
            "Bulk",
        ]

    def test_what_is_said_to_be_restored_and_is_not_given_is_restored(
        self, glacier: GlacierServer, store: S3Glacier
    ) -> None:
        glacier.put(A, CONTENT, "GLACIER", ongoing=False, offline=True)
        assert store.request_recalls([A]) == {A: ""}
        assert len(restores(glacier)) == 1
        assert state(store).locality is Locality.RECALLING
        glacier.deliver(A)
        assert read(store) == CONTENT

    def test_what_is_being_restored_is_not_asked_for_again(
        self, glacier: GlacierServer, store: S3Glacier
    ) -> None:
        glacier.put(A, CONTENT, "GLACIER", ongoing=True)
        assert store.request_recalls([A]) == {A: ""}
        assert restores(glacier) == []

    def test_a_restore_that_another_asked_for_meanwhile_is_joined(
        self, glacier: GlacierServer, store: S3Glacier
    ) -> None:
        glacier.put(A, CONTENT, "GLACIER")
        glacier.refused = {"restore": "RestoreAlreadyInProgress"}
        assert store.request_recalls([A]) == {A: ""}

    def test_a_restored_copy_that_expires_soon_is_extended(
        self, glacier: GlacierServer, make_store: MakeStore
    ) -> None:
        store = make_store(extend_before=12 * 3600, days=5)
        glacier.now = lambda: NOW
        glacier.put(A, CONTENT, "GLACIER", ongoing=False, expires=NOW + timedelta(hours=6))
        assert state(store).locality is Locality.OFFLINE
        store.request_recalls([A])
        assert [each.days for each in glacier.asked("restore")] == [5]
        assert state(store).locality is Locality.ONLINE

    def test_a_restored_copy_that_lasts_is_left_as_it_is(
        self, glacier: GlacierServer, store: S3Glacier
    ) -> None:
        glacier.put(A, CONTENT, "GLACIER", ongoing=False, expires=NOW + timedelta(days=2))
        store.request_recalls([A])
        assert restores(glacier) == []

    def test_without_capacity_for_expedited_the_other_tier_is_asked_for_at_once(
        self, glacier: GlacierServer, make_store: MakeStore
    ) -> None:
        glacier.refused_tiers = {"Expedited": "GlacierExpeditedRetrievalNotAvailable"}
        glacier.put(A, CONTENT, "GLACIER")
        store = make_store(tier="Expedited", fallback_tier="Bulk")
        assert store.request_recalls([A]) == {A: ""}
        assert [each.tier for each in glacier.asked("restore")] == ["Expedited", "Bulk"]
        assert glacier.objects[A].ongoing

    @pytest.mark.parametrize(
        ("storage_class", "archive_status"),
        [("DEEP_ARCHIVE", ""), ("INTELLIGENT_TIERING", "DEEP_ARCHIVE_ACCESS")],
    )
    def test_deep_archive_is_never_asked_for_by_expedited(
        self, glacier: GlacierServer, make_store: MakeStore, storage_class: str, archive_status: str
    ) -> None:
        glacier.put(A, CONTENT, storage_class, archive_status=archive_status)
        make_store(tier="Expedited").request_recalls([A])
        assert [each.tier for each in glacier.asked("restore")] == ["Standard"]

    def test_intelligent_tiering_is_restored_for_good(self, glacier: GlacierServer, store: S3Glacier) -> None:
        glacier.put(A, CONTENT, "INTELLIGENT_TIERING", archive_status="ARCHIVE_ACCESS")
        assert store.request_recalls([A]) == {A: ""}
        assert state(store).locality is Locality.RECALLING
        glacier.deliver(A)
        assert state(store) == RecallState(Locality.ONLINE, len(CONTENT))
        assert restores(glacier) == [(0, "Standard")]

    @pytest.mark.parametrize("code", ["InvalidObjectState", "NoSuchKey"])
    def test_what_is_no_longer_archived_or_there_is_no_error(
        self, glacier: GlacierServer, store: S3Glacier, code: str
    ) -> None:
        glacier.put(A, CONTENT, "GLACIER")
        glacier.refused = {"restore": code}
        assert store.request_recalls([A]) == {A: ""}

    def test_a_key_that_may_not_restore_is_refused_archive_by_archive(
        self, glacier: GlacierServer, store: S3Glacier
    ) -> None:
        glacier.put(A, CONTENT, "GLACIER")
        glacier.put("b.tar", CONTENT)
        glacier.refused = {"restore": "AccessDenied"}
        answers = store.request_recalls([A, ArchiveId("b.tar")])
        assert isinstance(answers[A], StoreRefusesAccount)
        assert (answers[ArchiveId("b.tar")], "s3:RestoreObject" in str(answers[A])) == ("", True)

    @pytest.mark.parametrize("code", ["SlowDown", "NotImplemented", "MethodNotAllowed"])
    def test_an_s3_that_is_busy_or_cannot_restore_is_unavailable(
        self, glacier: GlacierServer, store: S3Glacier, code: str
    ) -> None:
        glacier.put(A, CONTENT, "GLACIER")
        glacier.put(B, CONTENT, "GLACIER")
        glacier.refused = {"restore": code}
        with pytest.raises(StoreUnavailable):
            store.request_recalls([A, B])

    def test_an_archive_that_may_not_be_looked_at_is_refused_alone(
        self, glacier: GlacierServer, store: S3Glacier
    ) -> None:
        glacier.put(A, CONTENT, "GLACIER", forbidden=True)
        glacier.put("b.tar", CONTENT, "GLACIER")
        answers = store.request_recalls([A, ArchiveId("b.tar")])
        assert isinstance(answers[A], DatablockUnreadable)
        assert glacier.objects["b.tar"].ongoing


class TestReading:
    def test_what_is_not_restored_is_not_yet_online(self, glacier: GlacierServer, store: S3Glacier) -> None:
        glacier.put(A, CONTENT, "GLACIER", ongoing=True)
        with pytest.raises(NotYetOnline), store.open(A):
            pass

    def test_a_restored_copy_that_expires_soon_can_still_be_read(
        self, glacier: GlacierServer, store: S3Glacier
    ) -> None:
        glacier.put(A, CONTENT, "GLACIER", ongoing=False, expires=NOW + timedelta(hours=1))
        assert read(store) == CONTENT

    def test_a_copy_that_expires_between_looking_and_reading_is_not_yet_online(
        self, glacier: GlacierServer, store: S3Glacier
    ) -> None:
        glacier.put(A, CONTENT, "GLACIER", ongoing=False, expires=NOW + timedelta(hours=1))
        with store.open(A) as source:
            glacier.put(A, CONTENT, "GLACIER")
            with pytest.raises(NotYetOnline):
                source.readinto(memoryview(bytearray(10)))

    def test_what_is_archived_though_its_class_is_not_named_says_which_setting_names_it(
        self, glacier: GlacierServer, store: S3Glacier
    ) -> None:
        glacier.put(A, CONTENT, "TAPE", offline=True)
        with pytest.raises(DatablockUnreadable, match=r"storage class is TAPE.*`archive_classes`"):
            read(store)

    def test_a_part_is_read_by_a_request_for_just_that_part(
        self, glacier: GlacierServer, store: S3Glacier
    ) -> None:
        glacier.put(A, CONTENT)
        assert read(store, 1000, 500) == CONTENT[1000:1500]
        assert [each.range for each in glacier.asked("get")] == ["bytes=1000-1499"]

    def test_an_object_that_is_replaced_while_it_is_read_is_not_mixed_with_the_old_one(
        self, glacier: GlacierServer, store: S3Glacier
    ) -> None:
        glacier.put(A, CONTENT)
        with store.open(A) as source:
            glacier.put(A, CONTENT[::-1])
            with pytest.raises(ReadFailed, match="replaced"):
                source.readinto(memoryview(bytearray(10)))

    def test_an_object_that_is_removed_while_it_is_read_is_missing(
        self, glacier: GlacierServer, store: S3Glacier
    ) -> None:
        glacier.put(A, CONTENT)
        with store.open(A) as source:
            del glacier.objects[A]
            with pytest.raises(DatablockMissing):
                source.readinto(memoryview(bytearray(10)))

    def test_opening_in_no_bucket_is_no_missing_archive(
        self, glacier: GlacierServer, store: S3Glacier
    ) -> None:
        glacier.has_bucket = False
        with pytest.raises(StoreUnavailable), store.open(A):
            pass

    def test_the_key_is_made_by_the_template_below_the_catalogued_root(
        self, glacier: GlacierServer, make_store: MakeStore
    ) -> None:
        glacier.put("2026/x.tar", CONTENT)
        store = make_store(key_template="2026/{archive_id}", catalogued_root="/data/archive")
        with store.open(ArchiveId("/data/archive/x.tar")) as source:
            assert source.readinto(memoryview(bytearray(10))) == 10


def test_releasing_asks_nothing(glacier: GlacierServer, store: S3Glacier) -> None:
    glacier.put(A, CONTENT, "GLACIER", ongoing=False, expires=NOW + timedelta(days=2))
    store.let_go([AskedArchive(A)])
    assert glacier.received == []


HEAD = "HTTP/1.1 200 OK\r\nConnection: close\r\n"
ODD_HEADS = {
    "no size": HEAD,
    "a size that is no number": f"{HEAD}Content-Length: many\r\n",
    "a date that is none": f"{HEAD}Content-Length: 5\r\nLast-Modified: soon\r\n",
    "a date beyond all dates": f"{HEAD}Content-Length: 5\r\nLast-Modified: Fri, 31 Dec 99999 23:59:59 GMT\r\n",
}
ENTRY = "<Key>{key}</Key><Size>5</Size><StorageClass>STANDARD</StorageClass>"
ODD_ENTRIES = {
    "no key": ENTRY.replace("<Key>{key}</Key>", ""),
    "no size": ENTRY.replace("<Size>5</Size>", ""),
}
UNREADABLE_ENTRIES = {
    "a size that is no number": ENTRY.replace("5", "many"),
    "a date that is none": f"{ENTRY}<LastModified>soon</LastModified>",
    "an expiry that is none": f"{ENTRY}<RestoreStatus><RestoreExpiryDate>99999-01-01T00:00:00Z</RestoreExpiryDate>"
    "</RestoreStatus>",
}


def listing(entry: str, keys: list[ArchiveId]) -> bytes:
    contents = "".join(f"<Contents>{entry.format(key=key)}</Contents>" for key in keys)
    body = f"<ListBucketResult><IsTruncated>false</IsTruncated>{contents}</ListBucketResult>"
    return f"{HEAD}Content-Length: {len(body)}\r\n\r\n{body}".encode()


def assert_found_one_by_one(glacier: GlacierServer, make_store: MakeStore, entry: str) -> None:
    """See that ten objects are found whose listing has such entries."""
    asked = names(10)
    for each in asked:
        glacier.put(each, CONTENT)
    glacier.raw["list"] = listing(entry, asked)
    answers = states(make_store(use_restore_status="always"), *asked)
    assert set(answers.values()) == {RecallState(Locality.ONLINE, len(CONTENT))}


class TestAnswersThatNoS3ShouldGive:
    @pytest.mark.parametrize("answer", ODD_HEADS.values(), ids=ODD_HEADS)
    def test_an_odd_answer_on_one_object_is_told_and_no_address_is_blamed(
        self, glacier: GlacierServer, store: S3Glacier, answer: str
    ) -> None:
        glacier.raw["head"] = f"{answer}\r\n".encode()
        with pytest.raises(StoreUnavailable, match="answer cannot be read") as told:
            states(store, A, B)
        assert "endpoint_url" not in str(told.value)

    @pytest.mark.parametrize("entry", ODD_ENTRIES.values(), ids=ODD_ENTRIES)
    def test_what_a_listing_does_not_say_is_asked_for_one_by_one(
        self, glacier: GlacierServer, make_store: MakeStore, entry: str
    ) -> None:
        assert_found_one_by_one(glacier, make_store, entry)

    @pytest.mark.parametrize("entry", UNREADABLE_ENTRIES.values(), ids=UNREADABLE_ENTRIES)
    def test_a_listing_that_cannot_be_read_is_done_without(
        self, glacier: GlacierServer, make_store: MakeStore, entry: str
    ) -> None:
        assert_found_one_by_one(glacier, make_store, entry)
