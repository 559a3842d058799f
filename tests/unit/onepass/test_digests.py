"""Digests as catalogues write them: of which algorithm they are, and their digits."""

import base64
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scicat_retriever.onepass.checksums import ChecksumAlgorithm
from scicat_retriever.onepass.digests import LONGEST_DIGEST, Digest, Hashing, algorithms_named
from scicat_retriever.onepass.errors import UnknownChecksumAlgorithm

DATA = b"some bytes of a detector"
Algorithm = ChecksumAlgorithm
SHA256 = hashlib.sha256(DATA).hexdigest()
FAMILIES = [
    "sha",
    "SHA",
    "sha2",
    "SHA-2",
    "sha_2",
    "sha3",
    "SHA-3",
    "blake2",
    "xxh3",
    "adler",
    "Adler",
    "crc",
]


def digits(algorithm: ChecksumAlgorithm) -> str:
    return algorithm.start(DATA).hexdigest()


def in_base64(hexadecimal: str) -> str:
    return base64.b64encode(bytes.fromhex(hexadecimal)).decode()


@pytest.mark.parametrize(
    ("spelling", "algorithm"),
    [
        ("sha2", Algorithm.SHA256),
        ("SHA-2", Algorithm.SHA384),
        ("sha2", Algorithm.SHA512),
        ("sha", Algorithm.SHA1),
        ("SHA", Algorithm.SHA256),
        ("sha", Algorithm.SHA512),
        ("adler", Algorithm.ADLER32),
        ("sha3", Algorithm.SHA3_512),
        ("blake2", Algorithm.BLAKE2S),
        ("xxh3", Algorithm.XXH3_128),
        ("crc", Algorithm.CRC32),
    ],
)
def test_of_a_family_the_length_of_the_digest_decides(spelling: str, algorithm: ChecksumAlgorithm) -> None:
    read = Digest.read(digits(algorithm), algorithms_named(spelling))
    assert read == Digest(algorithm, digits(algorithm))


@pytest.mark.parametrize("spelling", FAMILIES)
def test_no_two_of_a_family_are_of_one_length(spelling: str) -> None:
    lengths = [len(digits(algorithm)) for algorithm in algorithms_named(spelling)]
    assert len(set(lengths)) == len(lengths)


@pytest.mark.parametrize("algorithm", list(Algorithm))
def test_an_algorithm_by_its_own_name_is_no_family(algorithm: ChecksumAlgorithm) -> None:
    assert algorithms_named(algorithm.value.upper()) == (algorithm,)


@pytest.mark.parametrize("spelling", ["", "sum", "md6", "sha512/256", "sha2 5", "crc64", "base64"])
def test_other_names_are_unknown(spelling: str) -> None:
    with pytest.raises(UnknownChecksumAlgorithm):
        algorithms_named(spelling)


DRESSES = {
    "as it is": SHA256,
    "in capitals": SHA256.upper(),
    "blanks": f" {SHA256}\n",
    "a prefix": f"sha256:{SHA256}",
    "a prefix and a blank": f"SHA-256: {SHA256.upper()}",
    "a prefix that names a family": f"sha2:{SHA256}",
    "a prefix that says nothing": f"checksum:{SHA256}",
    "0x": f"0x{SHA256}",
    "base64": in_base64(SHA256),
    "base64 without padding": in_base64(SHA256).rstrip("="),
    "base64 for URLs": in_base64(SHA256).replace("+", "-").replace("/", "_"),
    "as iRODS has it": f"sha2:{in_base64(SHA256)}",
}


@pytest.mark.parametrize("catalogued", DRESSES.values(), ids=DRESSES.keys())
def test_a_digest_is_the_same_whatever_its_dress(catalogued: str) -> None:
    assert Digest.read(catalogued, (Algorithm.SHA256,)) == Digest(Algorithm.SHA256, SHA256)


def test_a_prefix_names_the_algorithm_where_the_datablock_does_not() -> None:
    assert Digest.read(f"sha1:{digits(Algorithm.SHA1)}", ()) == Digest(Algorithm.SHA1, digits(Algorithm.SHA1))


def test_a_prefix_that_fits_goes_before_the_datablocks_algorithm() -> None:
    read = Digest.read(f"md5:{digits(Algorithm.MD5)}", (Algorithm.XXH3_128,))
    assert read == Digest(Algorithm.MD5, digits(Algorithm.MD5))


def test_a_prefix_that_does_not_fit_is_passed_over() -> None:
    assert Digest.read(f"md5:{SHA256}", (Algorithm.SHA256,)) == Digest(Algorithm.SHA256, SHA256)


NO_DIGESTS = {
    "nothing": "",
    "a prefix alone": "sha256:",
    "a digit less": SHA256[1:],
    "a digit more": f"0{SHA256}",
    "of another algorithm": digits(Algorithm.MD5),
    "no digits": "z" * 64,
    "base64 of another length": in_base64(SHA256 + "00"),
    "base64 with a blank": in_base64(SHA256).replace(in_base64(SHA256)[5], " "),
    "endless": SHA256.zfill(LONGEST_DIGEST + 1),
    "digits of another script": "٣" * 64,
}


@pytest.mark.parametrize("catalogued", NO_DIGESTS.values(), ids=NO_DIGESTS.keys())
def test_what_is_no_digest_of_it_is_none(catalogued: str) -> None:
    assert Digest.read(catalogued, (Algorithm.SHA256,)) is None


def test_hexadecimal_digits_of_a_shorter_digest_are_no_base64_of_a_longer_one() -> None:
    assert Digest.read(SHA256, (Algorithm.SHA384,)) is None


@pytest.mark.parametrize("catalogued", ["1a", "0x1a", "0000001A", "adler32:1a", "AAAAGg=="])
def test_a_32_bit_checksum_may_lack_its_zeros(catalogued: str) -> None:
    assert Digest.read(catalogued, (Algorithm.ADLER32,)) == Digest(Algorithm.ADLER32, "0000001a")


@given(st.text(max_size=LONGEST_DIGEST + 20), st.sampled_from(FAMILIES))
def test_whatever_is_catalogued_is_a_whole_digest_or_none(catalogued: str, family: str) -> None:
    read = Digest.read(catalogued, algorithms_named(family))
    if read is not None:
        assert len(read.digits) == len(digits(read.algorithm))
        assert bytes.fromhex(read.digits).hex() == read.digits


@given(st.sampled_from(list(Algorithm)), st.binary(), st.booleans())
def test_each_digest_is_read_back_in_hexadecimal_and_in_base64(
    algorithm: ChecksumAlgorithm, data: bytes, padded: bool
) -> None:
    computed = algorithm.start(data).hexdigest()
    encoded = in_base64(computed)
    if not padded and len(computed) > 8:
        encoded = encoded.rstrip("=")
    assert Digest.read(computed, (algorithm,)) == Digest(algorithm, computed)
    assert Digest.read(encoded, (algorithm,)) == Digest(algorithm, computed)


@given(st.sets(st.sampled_from(list(Algorithm)), min_size=1), st.lists(st.binary(), max_size=4))
def test_several_algorithms_in_one_pass_are_each_of_them(
    algorithms: set[ChecksumAlgorithm], pieces: list[bytes]
) -> None:
    hashing = Hashing.of(algorithms)
    digester = hashing.start()
    for piece in pieces:
        digester.update(piece)
    digest = digester.hexdigest()
    for algorithm in Algorithm:
        alone = algorithm.start(b"".join(pieces)).hexdigest() if algorithm in algorithms else None
        assert hashing.part(digest, algorithm) == alone
    assert Hashing.parse(str(hashing)) == hashing
