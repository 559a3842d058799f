"""A copy writes into whatever takes bytes and can seal them."""

from __future__ import annotations

import pytest

from scicat_retriever.onepass.checksums import ChecksumAlgorithm
from scicat_retriever.onepass.copying import copy_and_hash
from scicat_retriever.onepass.errors import PartialWriteFailed
from scicat_retriever.onepass.sink import Sink
from tests.unit.onepass.tars import END, file

WHOLE = file(b"one", b"x" * 100_000) + END


class Source:
    """Gives all bytes at once."""

    def __init__(self) -> None:
        self.left = WHOLE

    def readinto(self, buffer: memoryview) -> int:
        piece, self.left = self.left[: len(buffer)], self.left[len(buffer) :]
        buffer[: len(piece)] = piece
        return len(piece)


class Recording:
    """Takes some bytes at a time, and fails where it is told to."""

    def __init__(
        self, most: int = 2**20, write: Exception | None = None, seal: Exception | None = None
    ) -> None:
        self.most, self.write_error, self.seal_error = most, write, seal
        self.taken = b""
        self.sealed: bytes | None = None

    def write(self, data: memoryview) -> int:
        if self.write_error:
            raise self.write_error
        self.taken += data[: self.most]
        return len(data[: self.most])

    def seal(self) -> None:
        if self.seal_error:
            raise self.seal_error
        self.sealed = self.taken


def copy(sink: Sink) -> None:
    copy_and_hash(
        Source(),
        sink,
        algorithm=ChecksumAlgorithm.SHA256,
        on_member=lambda _: None,
    )


@pytest.mark.parametrize("most", [333, 2**20])
def test_a_sink_gets_every_byte_in_order_and_is_sealed_after_the_last(most: int) -> None:
    sink = Recording(most)
    copy(sink)
    assert sink.sealed == WHOLE


@pytest.mark.parametrize(
    "sink", [Recording(write=OSError("no bucket")), Recording(seal=OSError("no bucket"))]
)
def test_an_error_without_a_number_keeps_its_words(sink: Recording) -> None:
    with pytest.raises(PartialWriteFailed, match="no bucket"):
        copy(sink)


@pytest.mark.parametrize("sink", [Recording(write=LookupError("gone")), Recording(seal=LookupError("gone"))])
def test_an_error_of_the_sinks_own_comes_through_as_it_is(sink: Recording) -> None:
    with pytest.raises(LookupError, match="gone"):
        copy(sink)
    assert sink.sealed is None
