"""Names that are alike: paired one to one, never against what they name, never an escape, in bounded time."""

import unicodedata
from collections.abc import Iterable

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from scicat_retriever.domain.likeness import (
    EXAMPLES,
    LONGEST_EXAMPLE,
    Likeness,
    Matched,
    Pair,
    Spelling,
    Tally,
    alike,
    legible,
)
from tests.cpu_time import within_cpu_seconds

SOURCE = "/data/p1/run1"
NFC, NFD = "caf\u00e9", "cafe\u0301"

parts = st.text(st.sampled_from("ab.é\u0301?\\ \udcff\ufffd"), min_size=1, max_size=4)
names = st.lists(parts | st.sampled_from(["run1", "p1", "..", "data"]), min_size=1, max_size=4).map("/".join)


def pairs(
    archived: Iterable[str], catalogued: Iterable[str], folder: str | None = SOURCE, *, agree: bool = True
) -> list[Pair]:
    return list(alike(archived, catalogued, folder, lambda *_: agree))


ALIKE = {
    "absolute": ("raw/a", "/data/p1/run1/raw/a", Likeness.FOLDER),
    "absolute with doubled slashes": ("raw/a", "//data//p1/run1//raw/a", Likeness.FOLDER),
    "the dataset's folder before the member": ("run1/raw/a", "raw/a", Likeness.FOLDER),
    "the dataset's folder before the entry": ("raw/a", "run1/raw/a", Likeness.FOLDER),
    "more of the folder before the member": ("p1/run1/raw/a", "raw/a", Likeness.FOLDER),
    "all of the folder before the member": ("data/p1/run1/raw/a", "raw/a", Likeness.FOLDER),
    "the folder before both": ("run1/raw/a", "/data/p1/run1/raw/a", Likeness.FOLDER),
    "a file named as the folder": ("run1", "/data/p1/run1/run1", Likeness.FOLDER),
    "backslashes": ("raw/a", "raw\\a", Likeness.BACKSLASHES),
    "backslashes in the archive": ("raw\\a", "raw/a", Likeness.BACKSLASHES),
    "backslashes below the folder": ("raw/a", "\\data\\p1\\run1\\raw\\a", Likeness.BACKSLASHES),
    "composed": (NFD, NFC, Likeness.ACCENTS),
    "not composed": (f"d/{NFC}", f"/data/p1/run1/d/{NFD}", Likeness.ACCENTS),
    "a byte that became U+FFFD": ("caf\udce9", "caf\ufffd", Likeness.BYTES),
    "a byte that became a question mark": ("caf\udce9", "caf?", Likeness.BYTES),
    "bytes that became one": ("\udce9\udce8\udce7.h5", "\ufffd.h5", Likeness.BYTES),
}


@pytest.mark.parametrize(("archived", "catalogued", "kind"), ALIKE.values(), ids=ALIKE.keys())
def test_names_that_differ_in_spelling_are_alike(archived: str, catalogued: str, kind: Likeness) -> None:
    assert pairs([archived], [catalogued]) == [Pair(archived, catalogued, kind)]
    assert pairs([archived], [catalogued], agree=False) == []


DIFFERENT = {
    "another name": ("raw/a", "/data/p1/run1/raw/b"),
    "another case": ("raw/a", "raw/A"),
    "the end alone": ("a", "raw/a"),
    "another folder": ("raw/a", "/data/p2/run1/raw/a"),
    "an escape from the folder": ("../a", "/data/p1/a"),
    "an escape in the list": ("a", "/data/p1/run1/../run1/a"),
    "an escape in both": ("../a", "..\\a"),
    "an escape by backslashes": ("raw/a", "raw\\..\\raw\\a"),
    "a letter with and without its accent": (NFC, "cafe"),
    "a letter for a byte": ("caf\udce9", NFC),
    "a blank": ("raw/a ", "raw/a"),
    "a compatible letter": ("\ufb01le", "file"),
}


@pytest.mark.parametrize(("archived", "catalogued"), DIFFERENT.values(), ids=DIFFERENT.keys())
def test_other_names_are_not_alike(archived: str, catalogued: str) -> None:
    assert pairs([archived], [catalogued]) == []


@pytest.mark.parametrize("folder", [None, "", "/", "..", "/data/../p1/run1", "/" + "d/" * 10_000])
def test_a_folder_of_no_use_is_passed_over(folder: str | None) -> None:
    assert pairs(["raw/a"], ["/data/p1/run1/raw/a"], folder) == []
    assert pairs([NFC], [NFD], folder) == [Pair(NFC, NFD, Likeness.ACCENTS)]


def test_a_windows_folder_is_taken_apart() -> None:
    assert pairs(["raw/a"], ["D:\\data\\run1\\raw\\a"], "D:\\data\\run1")[0].kind is Likeness.BACKSLASHES


def test_a_folder_with_an_accent_is_spelled_like_the_names() -> None:
    assert pairs(["a"], [f"/data/{NFD}/a"], f"/data/{NFC}")[0].kind is Likeness.ACCENTS


@pytest.mark.parametrize(
    ("archived", "catalogued"),
    [
        (["run1/a", "p1/run1/a"], ["/data/p1/run1/a"]),
        (["a"], ["run1/a", "/data/p1/run1/a"]),
        ([NFC, NFD], [f"run1/{NFC}a"]),
        (["\udce9", "\udce8"], ["?", "\ufffd"]),
    ],
    ids=["two members", "two entries", "neither", "two of each"],
)
def test_where_one_of_several_can_be_meant_none_is_taken(archived: list[str], catalogued: list[str]) -> None:
    assert pairs(archived, catalogued) == []


def test_the_closest_spelling_goes_first() -> None:
    found = pairs([NFC, NFD], [f"run1/{NFD}", f"run1/{NFC}"])
    assert {(pair.archived, pair.catalogued) for pair in found} == {
        (NFC, f"run1/{NFC}"),
        (NFD, f"run1/{NFD}"),
    }
    assert {pair.kind for pair in found} == {Likeness.FOLDER}


@given(
    st.sets(names), st.sets(names), st.sampled_from([SOURCE, "/é", None]), st.randoms(use_true_random=False)
)
def test_each_name_is_in_one_pair_at_most_and_only_with_one_that_is_alike_and_agrees(
    archived: set[str], catalogued: set[str], folder: str | None, random: object
) -> None:
    asked: dict[tuple[str, str], bool] = {}

    def agree(one: str, other: str) -> bool:
        return asked.setdefault((one, other), len(one) % 3 != 0)

    found = list(alike(archived, catalogued, folder, agree))
    for side in ([pair.archived for pair in found], [pair.catalogued for pair in found]):
        assert len(set(side)) == len(side)
    for one, other, kind in found:
        spelling = Spelling(folder, kind)
        assert (one in archived, other in catalogued, asked[one, other]) == (True, True, True)
        assert spelling.of(one) == spelling.of(other) is not None
        assert ".." not in (*one.split("/"), *other.split("/"))


@given(
    st.lists(parts.filter(lambda part: part not in {".", "..", "run1"}), min_size=1, max_size=4), st.data()
)
def test_every_change_of_spelling_is_seen_through(kept: list[str], data: st.DataObject) -> None:
    assume(not any("\\" in part for part in kept))
    name = "/".join(kept)
    assume("run1" not in kept and "p1" not in kept and "data" not in kept)
    before = data.draw(st.sampled_from(["", "/data/p1/run1/", "run1/", "./", "p1//run1/./"]))
    changed = before + data.draw(st.sampled_from([name, unicodedata.normalize("NFD", name)]))
    assert len(pairs([name], [changed])) == 1


@given(st.text())
def test_every_name_can_be_shown(name: str) -> None:
    text = legible(name)
    text.encode()
    assert len(text) <= 4 * LONGEST_EXAMPLE


@pytest.mark.parametrize(
    ("name", "text"),
    [("raw/a", "raw/a"), ("caf\udce9", "caf\\xe9"), ("\ud800", "\\ud800"), ("a" * 200, "a" * 99 + "…")],
)
def test_a_name_is_shown_with_its_odd_bytes_escaped(name: str, text: str) -> None:
    assert legible(name) == text


def test_a_tally_counts_all_and_shows_some() -> None:
    tally = Tally()
    for number in range(5):
        tally.add(Likeness.ACCENTS, f"c{number}", f"a{number}")
    tally.add(Likeness.FOLDER, "c", "a")
    assert tally.matched() == (
        Matched(Likeness.FOLDER, 1, (("c", "a"),)),
        Matched(Likeness.ACCENTS, 5, (("c0", "a0"), ("c1", "a1"))),
    )
    assert len(tally.matched()[1].examples) == EXAMPLES


@within_cpu_seconds(60)
def test_many_names_take_little_time() -> None:
    count = 30_000
    archived = [f"a/b{number % 100}/{NFC}{number}" for number in range(count)]
    catalogued = [f"/data/p1/run1/a/b{number % 100}/{NFD}{number}" for number in range(count)]
    assert len(pairs(archived, catalogued)) == count
