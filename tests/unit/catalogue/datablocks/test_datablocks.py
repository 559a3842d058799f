import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scicat_retriever.catalogue.datablocks.entry import datablock_from
from scicat_retriever.domain.dataset import CataloguedDatablock, Datablock, EntryKind, FileEntry
from scicat_retriever.domain.errors import (
    CatalogueAnswerUnreadable,
    CatalogueEntryInvalid,
    CatalogueError,
    CatalogueForbidden,
    CatalogueRefused,
    CatalogueUnavailable,
    DatablocksInvisible,
    DatablocksMissing,
    DatasetUnknown,
)
from scicat_retriever.domain.ids import ArchiveId, DatablockId, DatasetPid
from tests.unit.catalogue.backend import (
    Backend,
    breaking_off,
    crash,
    failing,
    forbidden,
    ok,
)

PID = DatasetPid("20.500.12345/abc")
COUNT = "GET /api/v3/datablocks/count"
LIST = "GET /api/v3/datablocks"
DATASET = "GET /api/v4/datasets/20.500.12345%2Fabc"
V3 = "GET /api/v3/datasets"
EMPTY_DATASET = {"pid": PID, "numberOfFilesArchived": 0, "packedSize": 0}


def block(number: int = 1, **fields: Any) -> dict[str, Any]:
    return {
        "id": f"b{number}",
        "datasetId": PID,
        "archiveId": f"tar-{number}",
        "size": 300,
        "packedSize": 250,
        "chkAlg": "sha256",
        "dataFileList": [{"path": "a/one.dat", "size": 100, "chk": "AA"}, {"path": "a/two.dat", "size": 200}],
        **fields,
    }


def dataset(blocks: list[Any] | None = None, **declared: Any) -> Callable[[httpx2.Request], httpx2.Response]:
    """The dataset; the datablocks, where it is asked to include them, or 403 where there are none."""

    def answer(request: httpx2.Request) -> httpx2.Response:
        told = {**EMPTY_DATASET, **declared}
        if "include" not in request.url.params:
            return ok(told)
        return forbidden() if blocks is None else ok({**told, "datablocks": blocks})

    return answer


def sums(blocks: list[Any]) -> dict[str, Any]:
    amounts = (each.get("packedSize") for each in blocks if isinstance(each, dict))
    whole = [each for each in amounts if isinstance(each, int) and each < 2**53]
    return {
        "numberOfFilesArchived": 2 * len(whole),
        "packedSize": sum(whole),
    }


def backend(blocks: list[Any], count: int | None = None) -> Backend:
    """A SciCat that lists datablocks whose sums the dataset declares, and includes none."""
    counted = {"count": len(blocks) if count is None else count}
    return Backend().on(COUNT, ok(counted)).on(LIST, ok(blocks)).on(DATASET, dataset(**sums(blocks)))


def with_v3(scripted: Backend, blocks: list[Any]) -> Backend:
    return scripted.on(V3, ok([{"pid": PID, "datablocks": blocks}]))


def ids(scripted: Backend, **settings: Any) -> list[str]:
    return [one.datablock.id for one in scripted.client(**settings).datablocks(PID)]


def test_a_datablock_is_read_with_its_files() -> None:
    assert list(backend([block()]).client().datablocks(PID)) == [
        CataloguedDatablock(
            Datablock(DatablockId("b1"), PID, ArchiveId("tar-1"), 300, 250, "sha256", 2),
            (FileEntry("a/one.dat", 100, "aa"), FileEntry("a/two.dat", 200)),
        )
    ]


def test_more_are_asked_for_than_scicat_counts() -> None:
    scripted = backend([block(n) for n in range(250)])
    assert len(ids(scripted)) == 250
    asked = [one for one in scripted.asked if "filter" in one.query]
    assert [json.loads(one.query["filter"]) for one in asked] == [
        {"where": {"datasetId": PID}},
        {"where": {"datasetId": PID}, "limits": {"limit": 350}},
    ]
    assert scripted.lines() == [DATASET, COUNT, LIST]


def test_more_than_counted_is_no_error() -> None:
    assert ids(backend([block(1), block(2)], count=1)) == ["b1", "b2"]


def test_fewer_than_counted_is_an_error_after_the_last() -> None:
    blocks = backend([block(1)], count=2).client().datablocks(PID)
    assert next(blocks).datablock.id == "b1"
    with pytest.raises(DatablocksMissing):
        next(blocks)


def test_a_list_that_fills_the_limit_may_be_cut() -> None:
    with pytest.raises(DatablocksMissing):
        ids(backend([block(n) for n in range(101)], count=1))


def test_a_refused_count_does_not_stop_the_list() -> None:
    scripted = backend([block()]).on(COUNT, forbidden())
    assert ids(scripted) == ["b1"]
    assert json.loads(scripted.asked[-1].query["filter"])["limits"]["limit"] >= 100_000


def test_what_no_route_shows_is_asked_for_again_after_a_fresh_login() -> None:
    scripted = backend([]).on(COUNT, ok({"count": 0}), ok({"count": 1})).on(LIST, ok([]), ok([block()]))
    scripted.on(DATASET, dataset([], **sums([block()])))
    assert ids(scripted) == ["b1"]
    assert scripted.logins == 2


def test_the_dataset_itself_is_asked_where_the_list_stays_empty() -> None:
    entry = block()
    entry["_id"] = entry.pop("id")
    scripted = backend([]).on(DATASET, dataset([entry], **sums([entry])))
    assert ids(scripted) == ["b1"]
    assert scripted.lines() == [DATASET, COUNT, LIST, DATASET]
    assert scripted.asked[-1].query == {"include": "datablocks"}


def test_the_dataset_itself_is_asked_where_the_list_is_refused() -> None:
    scripted = backend([]).on(LIST, forbidden()).on(DATASET, dataset([block()], **sums([block()])))
    assert ids(scripted, token="long-lived") == ["b1"]
    assert scripted.lines() == [DATASET, COUNT, LIST, DATASET]


def test_the_route_that_showed_all_is_asked_first_from_then_on_and_nobody_logs_in_again() -> None:
    scripted = backend([]).on(DATASET, dataset([block()], **sums([block()])))
    client = scripted.client()
    for _ in range(3):
        assert [one.datablock.id for one in client.datablocks(PID)] == ["b1"]
    assert scripted.lines() == [DATASET, COUNT, LIST, DATASET] + [DATASET, DATASET] * 2
    assert scripted.logins == 1


def test_v3_is_asked_where_neither_the_list_nor_v4_shows_all() -> None:
    blocks = [block(1), block(2), block(3)]
    scripted = backend([block(2)]).on(DATASET, dataset([], **sums(blocks)))
    assert ids(with_v3(scripted, blocks)) == ["b2", "b1", "b3"]
    criteria = json.loads(scripted.asked[-1].query["filter"])
    assert criteria == {"where": {"pid": PID}, "include": [{"relation": "datablocks"}]}


LARGER = {"numberOfFilesArchived": 99, "packedSize": 10**6}


@pytest.mark.parametrize("declared", [{}, LARGER, {"numberOfFilesArchived": 1, "packedSize": 100}])
def test_a_list_that_another_route_confirms_is_believed_whatever_the_dataset_declares(
    declared: dict[str, Any],
) -> None:
    blocks = [block(1), block(2)]
    scripted = with_v3(backend(blocks).on(DATASET, dataset([], **declared)), blocks)
    assert ids(scripted) == ["b1", "b2"]
    assert scripted.logins == 1


@pytest.mark.parametrize("declared", [{}, LARGER, {"numberOfFilesArchived": 2, "packedSize": 250}])
@pytest.mark.parametrize("included", [None, [], [block(1)]])
def test_a_part_of_the_datablocks_is_never_taken_for_all(
    included: list[Any] | None, declared: dict[str, Any]
) -> None:
    # List, count and include leave the same datablock out, whose group the account is not in.
    scripted = backend([block(1)]).on(DATASET, dataset(included, **declared))
    with_v3(scripted, [block(1), block(2)])
    if declared.get("packedSize") == 250:
        assert ids(scripted) == ["b1"]
        return
    with pytest.raises(DatablocksInvisible) as raised:
        ids(scripted)
    told = str(raised.value)
    assert "archiveManager" in told
    assert "1 by the list" in told
    assert "2 by include of v3" in told
    assert all(name in told for name in ("DELETE_GROUPS", "UPDATE_DATASET_LIFECYCLE_GROUPS", "ADMIN_GROUPS"))
    assert len(told) < 500


def test_a_list_that_nothing_confirms_is_not_believed() -> None:
    with pytest.raises(DatablocksInvisible):
        ids(backend([block()]).on(DATASET, dataset()))


def test_two_routes_are_believed_where_there_is_no_third_and_no_more_is_declared() -> None:
    assert ids(backend([block()]).on(DATASET, dataset([block()]))) == ["b1"]
    with pytest.raises(DatablocksInvisible):
        ids(backend([block()]).on(DATASET, dataset([block()], numberOfFilesArchived=3)))


def test_a_third_route_that_shows_nothing_is_asked_again_after_a_fresh_login() -> None:
    # v3 lists no datasets to a token that ran out: `200 []`.
    all_of_v3 = ok([{"pid": PID, "datablocks": [block(1), block(2)]}])
    scripted = backend([block(1)]).on(DATASET, dataset([block(1)])).on(V3, ok([]), all_of_v3)
    with pytest.raises(DatablocksInvisible):
        ids(scripted)
    closed = backend([block(1)]).on(DATASET, dataset([block(1)])).on(V3, ok([]))
    assert ids(closed) == ["b1"]
    assert closed.logins == 2


def test_a_sum_that_was_reset_says_nothing() -> None:
    assert ids(backend([block()]).on(DATASET, dataset(numberOfFilesArchived=2))) == ["b1"]


@pytest.mark.parametrize("broken", [LIST, DATASET])
def test_a_route_that_fails_is_replaced_by_the_others(broken: str) -> None:
    blocks = [block(1), block(2)]
    scripted = with_v3(backend([]), blocks)
    asked_plainly = dataset(**sums(blocks))
    if broken == LIST:
        scripted.on(LIST, crash()).on(DATASET, dataset([], **sums(blocks)))
    else:
        scripted.on(DATASET, lambda request: crash() if request.url.params else asked_plainly(request))
    assert ids(scripted) == ["b1", "b2"]


def test_a_route_that_fails_and_would_be_needed_is_waited_for() -> None:
    blocks = [block(1), block(2)]
    scripted = backend([block(1)]).on(DATASET, dataset([], **sums(blocks))).on(V3, crash())
    with pytest.raises(CatalogueUnavailable):
        ids(scripted)


def test_two_datablocks_of_different_routes_with_one_archive_are_invalid() -> None:
    scripted = with_v3(backend([block(1)]).on(DATASET, dataset([])), [block(1, id="b7")])
    with pytest.raises(CatalogueEntryInvalid):
        ids(scripted)


@pytest.mark.parametrize(
    ("count", "declared"),
    [(0, {"numberOfFilesArchived": 6}), (0, {"packedSize": 750}), (3, {})],
)
def test_nothing_shown_where_something_is_declared_is_invisible(count: int, declared: dict[str, Any]) -> None:
    with pytest.raises(DatablocksInvisible):
        ids(backend([], count=count).on(DATASET, dataset([], **declared)))


def test_nothing_shown_and_nothing_declared_is_missing() -> None:
    with pytest.raises(DatablocksMissing, match="not archived"):
        ids(backend([]).on(DATASET, dataset([])))


def test_an_unknown_dataset_is_said() -> None:
    with pytest.raises(DatasetUnknown):
        ids(backend([]).on(DATASET, failing(404, "dataset: null not found")))


def test_a_backend_without_the_list_is_asked_for_the_dataset() -> None:
    scripted = Backend().on(DATASET, dataset([block()], **sums([block()])))
    assert ids(scripted, token="long-lived") == ["b1"]


def test_an_account_without_any_right_is_said() -> None:
    scripted = Backend().on(COUNT, forbidden()).on(LIST, forbidden()).on(DATASET, forbidden())
    with pytest.raises(CatalogueForbidden):
        ids(scripted)


def _shown(draw: st.DrawFn, pool: list[int]) -> list[Any] | None:
    return draw(
        st.none() | st.lists(st.sampled_from(pool), unique=True).map(lambda some: [block(n) for n in some])
    )


@st.composite
def catalogues(draw: st.DrawFn) -> tuple[Backend, set[str], bool]:
    """A SciCat that shows each route any part of up to four datablocks; v3, where it is open, all of them."""
    pool = list(range(draw(st.integers(1, 4))))
    everything = [block(n) for n in pool]
    listed, included = _shown(draw, pool), _shown(draw, pool)
    v3_open = draw(st.booleans())
    sums_right = draw(st.booleans())
    scripted = Backend().on(DATASET, dataset(included, **(sums(everything) if sums_right else {})))
    if listed is not None:
        scripted.on(COUNT, ok({"count": len(listed)})).on(LIST, ok(listed))
    if v3_open:
        with_v3(scripted, everything)
    return scripted, {each["id"] for each in everything}, v3_open or sums_right


@given(catalogues())
def test_what_is_believed_is_all_there_is_where_anybody_knows(given: tuple[Backend, set[str], bool]) -> None:
    scripted, everything, known = given
    try:
        read = ids(scripted, token="long-lived")
    except (DatablocksInvisible, DatablocksMissing):
        return
    assert len(read) == len(set(read))
    if known:
        assert set(read) == everything


@pytest.mark.parametrize(
    "changes",
    [
        {"id": None},
        {"id": ""},
        {"archiveId": None},
        {"archiveId": ""},
        {"archiveId": "a\x00b"},
        {"archiveId": 7},
        {"size": -1},
        {"size": 2**53},
        {"packedSize": 2**63 - 1},
        {"size": 1.5},
        {"size": "1"},
        {"size": True},
        {"size": None},
        {"packedSize": -1},
        {"packedSize": 1.5},
        {"packedSize": "250"},
        {"datasetId": "another"},
        {"chkAlg": 256},
        {"dataFileList": None},
        {"dataFileList": ["a"]},
        {"dataFileList": [{"size": 1}]},
        {"dataFileList": [{"path": "", "size": 1}]},
        {"dataFileList": [{"path": "a"}]},
        {"dataFileList": [{"path": "a", "size": -1}]},
        {"dataFileList": [{"path": "a", "size": 1.5}]},
        {"dataFileList": [{"path": "a", "size": None}]},
        {"dataFileList": [{"path": "a", "size": 1, "chk": 5}]},
    ],
    ids=str,
)
def test_an_entry_that_cannot_be_worked_with_is_named(changes: dict[str, Any]) -> None:
    with pytest.raises(CatalogueEntryInvalid, match=r"b2|tar-2"):
        ids(backend([block(1), block(2, **changes)]))


@pytest.mark.parametrize("second", [block(2, id="b1"), block(2, archiveId="tar-1"), "text", None, 5])
def test_a_datablock_listed_twice_or_that_is_none_is_invalid(second: object) -> None:
    with pytest.raises(CatalogueEntryInvalid):
        ids(backend([block(1), second]))


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (" ABC\n", "abc"),
        ("", None),
        ("  ", None),
        (None, None),
        ("Ab", "ab"),
        ("SHA256: AB", "sha256: ab"),
        ("0xAB", "0xab"),
        ("sha2:LPJNul+wow4=", "sha2:LPJNul+wow4="),
        ("AbC-_w==", "AbC-_w=="),
    ],
)
def test_hexadecimal_digits_are_lower_case_and_base64_is_as_it_was(
    written: str | None, read: str | None
) -> None:
    entry = block(dataFileList=[{"path": "a", "size": 1, "chk": written}])
    assert datablock_from(entry, PID, 0).files == (FileEntry("a", 1, read),)


@pytest.mark.parametrize(
    ("perm", "kind"),
    [
        ("drwxr-xr-x", EntryKind.FOLDER),
        ("0o120777", EntryKind.LINK),
        ("-rw-r--r--", EntryKind.FILE),
        ("0644", None),
        (None, None),
        (["d"], None),
    ],
)
def test_a_folder_is_known_by_its_permissions(perm: object, kind: EntryKind | None) -> None:
    entry = block(dataFileList=[{"path": "run", "size": 4096, "perm": perm}])
    assert datablock_from(entry, PID, 0).files == (FileEntry("run", 4096, None, kind),)


def test_what_has_a_checksum_needs_no_permissions_to_be_a_file() -> None:
    entry = block(dataFileList=[{"path": "a", "size": 1, "chk": "00", "perm": "-rw-r--r--"}])
    assert datablock_from(entry, PID, 0).files == (FileEntry("a", 1, "00"),)


def test_a_datablock_may_lack_algorithm_and_packed_size() -> None:
    entry = block(chkAlg="")
    del entry["packedSize"]
    read = datablock_from(entry, PID, 0).datablock
    assert (read.algorithm, read.packed_size) == (None, 0)


def test_null_is_taken_as_absent_and_a_whole_float_as_the_number() -> None:
    files = [{"path": "a", "size": 100.0, "chk": None}, {"path": "b", "size": 200}]
    entry = block(packedSize=None, datasetId=None, size=300.0, chkAlg=None, dataFileList=files)
    scripted = backend([entry]).on(DATASET, dataset(numberOfFilesArchived=2.0, packedSize=None))
    assert list(scripted.client().datablocks(PID)) == [
        CataloguedDatablock(
            Datablock(DatablockId("b1"), PID, ArchiveId("tar-1"), 300, 0, None, 2),
            (FileEntry("a", 100), FileEntry("b", 200)),
        )
    ]


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (crash(), CatalogueUnavailable),
        (failing(400, "bad filter"), CatalogueRefused),
        (httpx2.Response(404, text="default backend - 404"), CatalogueUnavailable),
        (httpx2.Response(200, text="<html>"), CatalogueAnswerUnreadable),
        (httpx2.Response(200, content=b'[{"id":'), CatalogueUnavailable),
        (httpx2.Response(200, content=b'[{"id":' + b"9" * 400 + b"}]"), CatalogueAnswerUnreadable),
        (httpx2.Response(200, content=b'["\\udc00"]'), CatalogueAnswerUnreadable),
        (
            httpx2.Response(
                200, headers={"Content-Encoding": "gzip"}, stream=httpx2.ByteStream(b"this is no gzip")
            ),
            CatalogueAnswerUnreadable,
        ),
    ],
)
def test_a_list_that_cannot_be_read_is_a_catalogue_error(reply: Any, expected: type[CatalogueError]) -> None:
    with pytest.raises(expected):
        ids(backend([]).on(LIST, reply))


@pytest.mark.parametrize(
    "error", [httpx2.ReadError("reset"), httpx2.RemoteProtocolError("incomplete"), httpx2.ReadTimeout("")]
)
def test_a_connection_that_breaks_between_two_datablocks_is_an_error_after_the_first(
    error: Exception,
) -> None:
    content = json.dumps([block(1)]).encode()[:-1]
    broken = backend([], count=2).on(LIST, breaking_off([content + b","], error))
    blocks = broken.client().datablocks(PID)
    assert next(blocks).datablock.id == "b1"
    with pytest.raises(CatalogueUnavailable):
        next(blocks)


def test_datablocks_are_given_before_the_answer_has_ended() -> None:
    sent: list[int] = []

    def pieces() -> Iterator[bytes]:
        yield b"["
        for number in range(1000):
            sent.append(number)
            yield (b"," if number else b"") + json.dumps(block(number)).encode()
        yield b"]"

    declared = sums([block(number) for number in range(1000)])
    scripted = backend([], count=1000).on(LIST, httpx2.Response(200, content=pieces()))
    blocks = scripted.on(DATASET, dataset(**declared)).client().datablocks(PID)
    next(blocks)
    assert len(sent) < 1000
    assert 1 + sum(1 for _ in blocks) == 1000


@pytest.mark.parametrize("count", [{"count": -1}, {"count": "5"}, {}, []])
def test_a_count_that_is_none_is_unreadable(count: object) -> None:
    with pytest.raises(CatalogueAnswerUnreadable):
        ids(backend([block()]).on(COUNT, ok(count)))


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=10,
)
KEYS = ("id", "_id", "datasetId", "archiveId", "size", "packedSize", "chkAlg", "dataFileList")


@given(st.fixed_dictionaries({}, optional=dict.fromkeys(KEYS, JSON)))
def test_whatever_scicat_lists_is_a_datablock_or_invalid(changes: dict[str, Any]) -> None:
    try:
        read = datablock_from({**block(), **changes}, PID, 0)
    except CatalogueEntryInvalid:
        return
    assert read.datablock.size >= 0
    assert len(read.files) == read.datablock.file_count


@pytest.mark.parametrize("name", ["half a \ud800 pair", "a\0b", "", "x" * 2049])
def test_a_name_that_cannot_stand_in_a_url_or_a_database_is_invalid(name: str) -> None:
    with pytest.raises(CatalogueEntryInvalid, match="archiveId"):
        datablock_from({**block(), "archiveId": name}, PID, 0)


def test_an_answer_that_is_nested_without_end_is_unreadable() -> None:
    deep = b'[{"id": "1", "dataFileList": ' + b"[" * 5000
    with pytest.raises(CatalogueAnswerUnreadable, match="deep"):
        ids(backend([]).on(LIST, lambda _: httpx2.Response(200, content=deep)).on(COUNT, ok({"count": 1})))
