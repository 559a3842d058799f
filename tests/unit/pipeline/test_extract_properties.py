"""For any members of any tar, the pieces that hold some of its files are a tar of those files and nothing else."""

import io
import tarfile

from hypothesis import given
from hypothesis import strategies as st

from scicat_retriever.domain.dataset import Datablock, Extract
from scicat_retriever.domain.ids import ArchiveId, DatablockId, DatasetPid
from scicat_retriever.onepass.tar.header import END_OF_ARCHIVE
from scicat_retriever.pipeline.transfer.extracts import pieces
from scicat_retriever.pipeline.transfer.reading import opened
from scicat_retriever.pipeline.transfer.verify import entry_name
from tests.fakes.long_term_store import InMemoryLongTermStore
from tests.unit.onepass.tars import info, packed, walk

# The first part tells names apart; the others make them short or long, and not only of ASCII.
TAIL = st.text(st.sampled_from("aé漢 ./\\"), max_size=6).flatmap(
    lambda text: st.integers(1, 60).map(lambda times: text * times + "z")
)
SHORT = st.text(st.sampled_from("ab/"), max_size=40).map(lambda text: text + "z")


def members_named(tail: st.SearchStrategy[str]) -> st.SearchStrategy[list[tuple[bytes, str, bytes]]]:
    """Give members of which one at least is a file."""
    file = st.tuples(st.just(tarfile.REGTYPE), tail, st.binary(max_size=1600))
    kinds = st.sampled_from([tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE])
    other = st.tuples(kinds, tail, st.just(b""))
    more = st.lists(st.one_of(file, file, other), max_size=7)
    return st.tuples(file, more).map(lambda drawn: [drawn[0], *drawn[1]])


ARCHIVES = st.one_of(
    st.tuples(members_named(TAIL), st.sampled_from([tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])),
    st.tuples(members_named(SHORT), st.just(tarfile.USTAR_FORMAT)),
).map(lambda drawn: archive(*drawn))
SIZES = st.lists(st.integers(90, 3000), min_size=1, max_size=5)


def archive(members: list[tuple[bytes, str, bytes]], kind: int) -> bytes:
    made = [
        (info(f"{number}/{tail}", len(data), sort, "0/target"), data)
        for number, (sort, tail, data) in enumerate(members)
    ]
    return packed(made, kind)


def files_of(data: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:", encoding="utf-8") as tar:
        return {
            member.name: (tar.extractfile(member) or io.BytesIO()).read() for member in tar if member.isreg()
        }


def read_alone(data: bytes, ranges: list[tuple[int, int]], sizes: list[int]) -> bytes:
    """Read pieces of an archive as a copy does, with buffers of these sizes in turn."""
    store = InMemoryLongTermStore()
    store.put("a.tar", data)
    block = Datablock(
        DatablockId("b"),
        DatasetPid("p"),
        ArchiveId("a.tar"),
        0,
        0,
        None,
        0,
        Extract(DatablockId("a"), len(data), tuple(ranges)),
    )
    source, got = opened(block, store), bytearray()
    buffers = [memoryview(bytearray(size)) for size in sizes]
    while True:
        for buffer in buffers:
            count = source.readinto(buffer)
            got += buffer[:count]
            if not count:
                return bytes(got)


@given(ARCHIVES, SIZES, st.data())
def test_an_extract_is_a_tar_of_exactly_the_chosen_files(
    data: bytes, sizes: list[int], draw: st.DataObject
) -> None:
    files = files_of(data)
    chosen = draw.draw(st.lists(st.sampled_from(sorted(files)), unique=True, min_size=1))
    found = pieces(walk(data), {entry_name(name) for name in chosen})
    assert found is not None
    assert found.files == len(chosen)
    extract = read_alone(data, found.ranges, sizes)
    assert files_of(extract) == {name: files[name] for name in chosen}
    assert len(walk(extract)) == len(chosen)
    assert len(extract) == sum(length for _, length in found.ranges) + END_OF_ARCHIVE


@given(ARCHIVES)
def test_a_link_or_a_folder_is_not_read_alone(data: bytes) -> None:
    members = walk(data)
    for member in members:
        found = pieces(members, {entry_name(member.name)})
        assert (found is None) == (member.kind != "file")


def test_what_follows_a_member_of_an_unknown_kind_is_not_read_alone() -> None:
    unknown = info("unknown", 0, b"Z")
    data = packed([(unknown, b""), (info("a", 3), b"abc"), (info("b", 3), b"abc")])
    assert pieces(walk(data), {"a"}) is None
    assert pieces(walk(data), {"b"}) is not None
