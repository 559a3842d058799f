import re
import unicodedata
from urllib.parse import unquote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from scicat_retriever.domain.evidence import DatablockKey
from scicat_retriever.domain.ids import ArchiveId, DatablockId, DatasetPid
from scicat_retriever.pipeline.delivery.names import (
    LONGEST_FOLDER,
    LONGEST_NAME,
    attachment,
    download_name,
    download_names,
    folder_names,
    may_be_alike,
    relative_path,
    usable_path,
    usable_paths,
)
from scicat_retriever.ports.titles import Title

PID = DatasetPid("20.500.12345/abc")
ENDINGS = (".tar", ".tar.gz", ".tgz")
ALIKE = st.text("aAàÀ/_~:. ßſ㎏\u0300", max_size=6)
NAMES = st.one_of(ALIKE, st.text(max_size=400))


@pytest.mark.parametrize(
    ("archive_id", "name"),
    [
        ("a.tar", "a.tar"),
        ("deep/er/a.tar", "a.tar"),
        ("a.tar.gz", "a.tar.gz"),
        ("A.TGZ", "A.TGZ"),
        ("a", "a.tar"),
        ("a.zip", "a.zip.tar"),
        ("..", "...tar"),
        ("/", "datablock.tar"),
        (".", "datablock.tar"),
        ('qu"o\\te;.tar', "qu_o_te;.tar"),
        ("line\r\nbreak\0.tar", "line__break_.tar"),
        ("Größe ☢.tar", "Größe ☢.tar"),
        ("half\ud800.tar", "half_.tar"),
    ],
)
def test_the_file_is_named_for_its_dataset_and_archive(archive_id: str, name: str) -> None:
    assert download_name(PID, ArchiveId(archive_id)) == f"20.500.12345_abc__{name}"


@given(NAMES, NAMES)
@example(".hidden", "a.tar")
@example("p" * 500, "a" * 500)
@example("é" * 500, "ü" * 500 + ".tar.gz")
def test_a_name_is_one_that_every_file_system_takes(pid: str, archive_id: str) -> None:
    name = download_name(DatasetPid(pid), ArchiveId(archive_id))
    assert name.isprintable()
    assert not set(name) & set('/\\:*?"<>|')
    assert not name.startswith((".", "-", "~"))
    assert name.lower().endswith(ENDINGS)
    assert len(name.encode()) <= LONGEST_NAME


def folded(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


@given(st.lists(st.tuples(NAMES, NAMES, NAMES), max_size=12, unique_by=lambda each: each[:2]))
@example([("p", "1", "a/1.tar"), ("p", "2", "b/1.tar")])
@example([("p", "1", "☢.tar"), ("p", "2", "☃.tar")])
@example([("a/b", "1", "1.tar"), ("a_b", "2", "1.tar"), ("A_B", "3", "1.TAR")])
def test_no_two_files_of_a_job_have_names_alike(archives: list[tuple[str, str, str]]) -> None:
    keys = [
        (DatablockKey(DatasetPid(pid), DatablockId(block)), ArchiveId(name)) for pid, block, name in archives
    ]
    names = download_names(keys)
    assert len(names) == len(archives)
    assert len({folded(name) for name in names.values()}) == len(archives)
    assert len({attachment(name).split("; ")[1].casefold() for name in names.values()}) == len(archives)
    assert all(len(name.encode()) <= LONGEST_NAME for name in names.values())
    assert names == download_names(reversed(keys))


@given(
    st.lists(
        st.tuples(
            st.one_of(st.sampled_from(["a", "A", "a__b", "A/_b", "p.1", "p_1", "-a", "q" * 70]), NAMES), NAMES
        ),
        max_size=12,
        unique=True,
    )
)
@example([("a", "b__c.tar"), ("a__b", "c.tar"), ("z", "c.tar")])
@example([("_a", "1.tar"), (".a", "1.tar"), ("a", "1.tar"), ("A", "1.TAR")])
@example([("q" * 70, "n" * 300), ("q" * 60, "n" * 300), ("q", "\u0300")])
def test_a_dataset_s_files_are_named_alike_without_those_that_cannot_be_alike(
    archives: list[tuple[str, str]],
) -> None:
    keys = [
        (DatablockKey(DatasetPid(pid), DatablockId(str(number))), ArchiveId(name))
        for number, (pid, name) in enumerate(archives)
    ]
    names, pids = download_names(keys), list(dict.fromkeys(key.pid for key, _ in keys))
    for pid in pids:
        near = set(may_be_alike(pid, pids))
        some = download_names(each for each in keys if each[0].pid in near)
        assert {key: name for key, name in some.items() if key.pid == pid} == {
            key: name for key, name in names.items() if key.pid == pid
        }


def test_datasets_of_usual_pids_are_named_each_by_itself() -> None:
    pids = [DatasetPid(f"20.500.12345/{number:04d}") for number in range(100)]
    assert [list(may_be_alike(pid, pids)) for pid in pids] == [[pid] for pid in pids]


def test_a_name_is_plain_where_no_other_is_alike() -> None:
    keys = [
        (DatablockKey(PID, DatablockId("1")), ArchiveId("run/1.tar")),
        (DatablockKey(PID, DatablockId("2")), ArchiveId("run/2.tar")),
        (DatablockKey(DatasetPid("other"), DatablockId("3")), ArchiveId("run/1.tar")),
    ]
    assert list(download_names(keys).values()) == [
        "20.500.12345_abc__1.tar",
        "20.500.12345_abc__2.tar",
        "other__1.tar",
    ]


def test_clients_that_know_no_encoded_names_get_a_plain_one_first() -> None:
    assert attachment("Größe 5 µm.tar") == (
        "attachment; filename=\"Gro_e 5 _m.tar\"; filename*=UTF-8''Gr%C3%B6%C3%9Fe%205%20%C2%B5m.tar"
    )


@given(NAMES)
def test_a_disposition_is_one_plain_header_and_says_the_whole_name(text: str) -> None:
    name = download_name(PID, ArchiveId(text))
    match = re.fullmatch(r"attachment; filename=\"([ -~]+)\"; filename\*=UTF-8''([!-~]+)", attachment(name))
    assert match is not None
    assert unquote(match[2]) == name
    assert not set(match[1]) & set('"\\%/')
    if name.isascii() and "%" not in name:
        assert match[1] == name


@pytest.mark.parametrize(
    ("title", "name"),
    [
        (Title("Battery, run 3"), "Battery, run 3"),
        (Title("Größe ☢"), "Größe ☢"),
        (Title("20.500.12345/abc", "/data/2026/battery/"), "battery"),
        (Title("  ", "/data/2026/battery"), "battery"),
        (Title("20.500.12345/abc"), "20.500.12345_abc"),
        (Title("", "/"), "20.500.12345_abc"),
        (None, "20.500.12345_abc"),
        (Title("a/b:c"), "a_b_c"),
        (Title(".. hidden. "), "hidden"),
        (Title("-rf"), "_-rf"),
        (Title("nul"), "_nul"),
        (Title("Com1.data"), "_Com1.data"),
        (Title("..."), "_"),
    ],
)
def test_the_folder_of_a_dataset_is_named_as_people_name_it(title: Title | None, name: str) -> None:
    assert folder_names({PID: title}) == {PID: name}


WINDOWS = re.compile(r'[<>:"/\\|?*\x00-\x1f]|[ .]\Z')
DEVICES = {
    "con",
    "prn",
    "aux",
    "nul",
    *(f"{each}{number}" for each in ("com", "lpt") for number in range(10)),
}


def is_usable(name: str) -> bool:
    return (
        bool(name)
        and name not in {".", ".."}
        and WINDOWS.search(name) is None
        and name.partition(".")[0].lower() not in DEVICES
        and len(name.encode()) <= 255
    )


@given(st.lists(st.one_of(ALIKE, st.text(max_size=300)), max_size=6))
@example(["A", "a", "À", "A\u0300"])
@example(["con", "CON", "x" * 300, "x" * 301])
def test_folders_of_a_job_are_usable_and_never_alike(given_names: list[str]) -> None:
    titles = {DatasetPid(f"20.500.12345/{number}"): Title(name) for number, name in enumerate(given_names)}
    names = list(folder_names(titles).values())
    assert all(is_usable(name) and len(name.encode()) <= LONGEST_FOLDER + 13 for name in names)
    folded = {unicodedata.normalize("NFKC", name).casefold() for name in names}
    assert len(folded) == len(names)


@pytest.mark.parametrize(
    ("path", "folder", "relative"),
    [
        ("run/a.h5", "/data/p", "run/a.h5"),
        ("/data/p/run/a.h5", "/data/p", "run/a.h5"),
        ("/data/p/run/a.h5", "/data/p/", "run/a.h5"),
        ("/data/pq/a.h5", "/data/p", "data/pq/a.h5"),
        ("/elsewhere/a.h5", "/data/p", "elsewhere/a.h5"),
        ("/elsewhere/a.h5", None, "elsewhere/a.h5"),
        ("data/p/a.h5", "data/p", "data/p/a.h5"),
        ("/a.h5", "/", "a.h5"),
    ],
)
def test_a_path_is_relative_to_the_source_folder(path: str, folder: str | None, relative: str) -> None:
    assert relative_path(path, folder) == relative


@pytest.mark.parametrize(
    ("path", "usable"),
    [
        ("run/a.h5", "run/a.h5"),
        ("Größe/☢ und.txt", "Größe/☢ und.txt"),
        (".hidden/-x", ".hidden/-x"),
        ("a/12:30.dat", "a/12_30~7f3f1f17.dat"),
        ("aux.c/b", "_aux~1d1e5b1c.c/b"),
    ],
)
def test_what_every_system_takes_stays_as_it_is(path: str, usable: str) -> None:
    found = usable_path(path)
    assert re.sub("~[0-9a-f]{8}", "~", found) == re.sub("~[0-9a-f]{8}", "~", usable)


PARTS = st.one_of(ALIKE, st.text(max_size=300), st.text("aA.~ conCON:_\udcff", max_size=8))


@given(st.lists(PARTS, min_size=1, max_size=4))
@example(["..", "", ".", "con"])
@example(["a" * 300 + ".h5"])
def test_every_part_of_a_usable_path_is_taken_everywhere(parts: list[str]) -> None:
    found = usable_path("/".join(part.replace("/", "") for part in parts)).split("/")
    assert all(map(is_usable, found))


@given(PARTS, PARTS)
@example("a:b", "a?b")
@example("con", "_con")
@example("a.", "a_")
def test_two_names_that_are_not_alike_do_not_become_so(one: str, other: str) -> None:
    one, other = one.replace("/", ""), other.replace("/", "")
    assert (usable_path(one) == usable_path(other)) == (one == other)


@given(st.lists(st.lists(PARTS, min_size=1, max_size=3).map("/".join), max_size=6))
@example(["a/con.txt", "/a", "b/", "c//d", ""])
@example(["a" * 241])
@example(["\u00fc" * 121, "plain"])
def test_many_paths_are_given_as_each_is(paths: list[str]) -> None:
    assert usable_paths(paths) == [usable_path(path) if path else "" for path in paths]
