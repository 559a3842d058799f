"""Any range of a computed archive is that range of the whole, however its entries come in batches."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scicat_retriever.computed.entries import Batch, Entry, batch_of
from scicat_retriever.computed.errors import EntriesChanged
from scicat_retriever.computed.layout import Layout, Part, Slice
from scicat_retriever.computed.tar_layout import TarLayout
from scicat_retriever.computed.zip_layout import ZipLayout
from tests.examples import examples
from tests.unit.computed.archives import CUTS, STAGED, a_file, a_folder, entries, of_zeros, read, split

FORMATS = (ZipLayout, TarLayout)
TWO = [a_file("d/one", STAGED[0][:100]), a_file("d/two", STAGED[0][100:300], offset=100)]


class Counted(list[Batch]):
    """Batches that count how often one is asked for."""

    asked = 0

    def __getitem__(self, index: int) -> Batch:  # type: ignore[override]
        self.asked += 1
        return super().__getitem__(index)


@pytest.mark.parametrize("layout_of", FORMATS)
@settings(max_examples=examples(40))
@given(listed=entries(), cuts=CUTS, data=st.data())
def test_any_range_is_that_range_of_the_whole(
    layout_of: type[ZipLayout | TarLayout], listed: list[Entry], cuts: list[int], data: st.DataObject
) -> None:
    layout = layout_of(split(listed, cuts))
    whole = read(layout)
    assert len(whole) == layout.size
    for _ in range(5):
        start = data.draw(st.integers(0, layout.size))
        stop = data.draw(st.integers(start, layout.size))
        assert read(layout, start, stop) == whole[start:stop]


@pytest.mark.parametrize("layout_of", FORMATS)
@settings(max_examples=examples(40))
@given(listed=entries(), cuts=CUTS)
def test_bytes_and_etag_do_not_depend_on_the_batches(
    layout_of: type[ZipLayout | TarLayout], listed: list[Entry], cuts: list[int]
) -> None:
    one, several = layout_of(split(listed)), layout_of(split(listed, cuts))
    assert (one.size, one.etag, read(one)) == (several.size, several.etag, read(several))


@pytest.mark.parametrize("layout_of", FORMATS)
def test_pieces_are_never_empty_and_literal_bytes_are_joined(layout_of: type[ZipLayout | TarLayout]) -> None:
    layout = layout_of(split([a_folder("f"), a_file("e"), *TWO, a_file("g")]))
    pieces = list(layout.pieces(0, layout.size))
    slices = [piece for piece in pieces if isinstance(piece, Slice)]
    assert slices == [Slice(0, 0, 100), Slice(0, 100, 200)]
    assert all(piece for piece in pieces if isinstance(piece, bytes))
    first = pieces.index(slices[0])
    assert (first, pieces.index(slices[1])) == (1, 3)


@pytest.mark.parametrize("layout_of", FORMATS)
def test_a_range_within_a_content_is_one_slice(layout_of: type[ZipLayout | TarLayout]) -> None:
    layout = layout_of([batch_of([of_zeros("large", 2**40)])])
    [piece] = layout.pieces(2**39, 2**39 + 5)
    [earlier] = layout.pieces(2**39 - 7, 2**39)
    assert isinstance(piece, Slice)
    assert isinstance(earlier, Slice)
    assert (earlier.length, piece.length) == (7, 5)
    assert earlier.offset + 7 == piece.offset


@pytest.mark.parametrize("layout_of", FORMATS)
@pytest.mark.parametrize(("start", "stop"), [(-1, 5), (5, 4), (0, None)])
def test_what_is_no_range_of_it_is_refused_at_once(
    layout_of: type[ZipLayout | TarLayout], start: int, stop: int | None
) -> None:
    layout = layout_of(split(TWO))
    with pytest.raises(ValueError, match="no bytes"):
        layout.pieces(start, layout.size + 1 if stop is None else stop)


@pytest.mark.parametrize("layout_of", FORMATS)
def test_reading_on_asks_for_each_batch_once(layout_of: type[ZipLayout | TarLayout]) -> None:
    many = [a_file(f"f{number}", STAGED[0][:50]) for number in range(100)]
    batches = Counted(split(many, range(10, 100, 10)))
    layout = layout_of(batches)
    parts = 2 if layout_of is ZipLayout else 1
    batches.asked = 0
    at = 0
    while at < layout.size:
        read(layout, at, min(at + 97, layout.size))
        at += 97
    assert batches.asked == parts * len(batches)


@pytest.mark.parametrize("layout_of", FORMATS)
def test_any_byte_asks_for_one_batch(layout_of: type[ZipLayout | TarLayout]) -> None:
    many = [a_file(f"f{number}", STAGED[0][:50]) for number in range(100)]
    batches = Counted(split(many, range(10, 100, 10)))
    layout = layout_of(batches)
    batches.asked = 0
    read(layout, layout.size // 3, layout.size // 3 + 1)
    assert batches.asked == 1


LATER = {
    "fewer": [],
    "path": [TWO[0]._replace(path="d/oneself")],
    "size": [TWO[0]._replace(size=101)],
    "crc": [TWO[0]._replace(crc=7)],
    "mtime": [TWO[0]._replace(mtime=7)],
    "digest": [TWO[0]._replace(digest="cd")],
    "source": [TWO[0]._replace(source=1)],
    "offset": [TWO[0]._replace(offset=1)],
}


@pytest.mark.parametrize("layout_of", FORMATS)
def test_many_read_one_layout_at_the_same_time(layout_of: type[ZipLayout | TarLayout]) -> None:
    listed = [a_file(f"{number}/größe", STAGED[0][: number % 700]) for number in range(300)]
    layout = layout_of(split(listed, range(0, 300, 20)))
    whole = read(layout)
    starts = range(0, layout.size, 1777)
    with ThreadPoolExecutor(8) as readers:
        found = readers.map(lambda start: read(layout, start, min(start + 5000, layout.size)), starts)
        assert list(found) == [whole[start : start + 5000] for start in starts]


class Wrong(Layout):
    """A layout that expects three bytes of its only entry, and makes four."""

    def __init__(self) -> None:
        super().__init__([3], "wrong")

    def _part(self, index: int) -> Part:
        return Part([3], lambda _: [b"four"])


def test_an_entry_that_is_not_as_long_as_was_laid_out_ends_the_reading() -> None:
    with pytest.raises(EntriesChanged, match="entry 0 of part 0 ends at 4, not 3"):
        list(Wrong().pieces(0, 3))


@pytest.mark.parametrize("layout_of", FORMATS)
@pytest.mark.parametrize("change", LATER)
def test_a_batch_that_is_not_as_it_was_gives_no_bytes(
    layout_of: type[ZipLayout | TarLayout], change: str
) -> None:
    batches = split(TWO)
    layout: Layout = layout_of(batches)
    batches[0] = batch_of([*LATER[change], TWO[1]])
    with pytest.raises(EntriesChanged):
        next(layout.pieces(0, layout.size))
