from __future__ import annotations

import base64
import hashlib

import pytest
from awscrt import checksums as crt
from hypothesis import given
from hypothesis import strategies as st

from scicat_retriever.storage.staging.s3.checksums import Checksum, Name, Receipt, UploadPart, checksum_named

PIECES = st.lists(st.binary(max_size=300), min_size=1, max_size=8)


def parts_of(pieces: list[bytes], checksum: Checksum) -> list[UploadPart]:
    return [
        UploadPart(number, len(piece), "etag", checksum.of(piece))
        for number, piece in enumerate(pieces, start=1)
    ]


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def test_the_checksums_are_those_of_the_standards() -> None:
    # The usual check values: CRC-64/NVME and CRC-32C of "123456789" (reveng.sourceforge.io/crc-catalogue).
    check = b"123456789"
    assert checksum_named("crc64nvme").of(check).hex() == "ae8b14860a799888"
    assert checksum_named("crc32c").of(check).hex() == "e3069283"
    assert checksum_named("sha256").of(check) == hashlib.sha256(check).digest()
    assert checksum_named("md5").of(check) == hashlib.md5(check).digest()


@given(PIECES)
def test_the_crc_of_the_whole_follows_from_those_of_its_parts(pieces: list[bytes]) -> None:
    whole = b"".join(pieces)
    nvme, castagnoli = checksum_named("crc64nvme"), checksum_named("crc32c")
    assert nvme.whole(parts_of(pieces, nvme)) == b64(crt.crc64nvme(whole).to_bytes(8, "big"))
    assert castagnoli.whole(parts_of(pieces, castagnoli)) == b64(crt.crc32c(whole).to_bytes(4, "big"))


@given(PIECES)
def test_composite_checksums_are_those_of_the_parts_checksums_and_their_number(pieces: list[bytes]) -> None:
    sha256, md5 = checksum_named("sha256"), checksum_named("md5")
    of_parts = hashlib.sha256(b"".join(hashlib.sha256(piece).digest() for piece in pieces)).digest()
    assert sha256.whole(parts_of(pieces, sha256)) == f"{b64(of_parts)}-{len(pieces)}"
    etag = hashlib.md5(b"".join(hashlib.md5(piece).digest() for piece in pieces)).hexdigest()
    assert md5.whole(parts_of(pieces, md5)) == f"{etag}-{len(pieces)}"


@given(PIECES, st.sampled_from(["crc64nvme", "crc32c", "sha256", "md5"]))
def test_a_receipt_can_be_read_again(pieces: list[bytes], name: Name) -> None:
    receipt = Receipt.of(checksum_named(name), parts_of(pieces, checksum_named(name)))
    assert Receipt.read(str(receipt)) == receipt
    assert receipt.size == sum(map(len, pieces))


@given(st.text())
def test_no_text_breaks_the_reading_of_receipts(text: str) -> None:
    receipt = Receipt.read(text)
    assert receipt is None or str(receipt) == text


@pytest.mark.parametrize(
    "text",
    ["", "bytes:5", "sha1:x;bytes:5", "md5:;bytes:5", "md5:x;bytes:", "md5:x;bytes:-5", "md5:x;bytes:5\n"],
)
def test_other_texts_are_no_receipts(text: str) -> None:
    assert Receipt.read(text) is None


@pytest.mark.parametrize("name", ["crc64nvme", "crc32c", "sha256", "md5"])
def test_what_an_answer_does_not_say_is_empty(name: Name) -> None:
    checksum = checksum_named(name)
    assert (checksum.digest_in({"ETag": '"not-md5-1"'}), checksum.whole_in({})) == (b"", "")
