"""Lists of checksums: the programs that they are made for take them."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scicat_retriever.domain.evidence import Integrity
from scicat_retriever.onepass.checksums import ChecksumAlgorithm
from scicat_retriever.onepass.digests import Hashing
from scicat_retriever.pipeline.delivery.lists import PROGRAMS, checksum_list, line, list_name, listed
from scicat_retriever.pipeline.tools.checksum_policy import ChecksumPolicy
from tests.unit.pipeline.delivery.test_contents import Q, contents, member, stage, tar_of
from tests.unit.pipeline.rig import PID, Rig, without_checksums

NAMES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0/"), min_size=1, max_size=60)
ODD_NAMES = [
    "plain",
    "two  blanks",
    " before and behind ",
    "größe 𝄞",
    "back\\slash",
    "\\first",
    "line\nfeed",
    "carriage\rreturn",
    "\\n",
    "*star",
    "-dash",
    "tab\tand\x1b[31mescape",
    '"quoted"',
]


def check(folder: Path, algorithm: ChecksumAlgorithm, text: bytes) -> subprocess.CompletedProcess[bytes]:
    """Have the algorithm's program check a list in a folder, strictly."""
    program = shutil.which(f"{PROGRAMS[algorithm].lower()}sum")
    if program is None:
        pytest.skip(f"{PROGRAMS[algorithm].lower()}sum is not installed (Debian: coreutils)")
    (folder / list_name(algorithm)).write_bytes(text)
    return subprocess.run(
        [program, "--check", "--strict", "--quiet", list_name(algorithm)],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"},
        capture_output=True,
        check=False,
        timeout=60,
    )


@pytest.mark.parametrize("algorithm", PROGRAMS)
def test_each_program_checks_its_list_of_odd_names(tmp_path: Path, algorithm: ChecksumAlgorithm) -> None:
    lines = ""
    for name in ODD_NAMES:
        (tmp_path / name).write_text(f"content of {name}", newline="")
        lines += line(algorithm.start(f"content of {name}".encode()).hexdigest(), name)
    done = check(tmp_path, algorithm, lines.encode())
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    (tmp_path / ODD_NAMES[-1]).write_text("something else")
    assert check(tmp_path, algorithm, lines.encode()).returncode == 1


@pytest.mark.parametrize("name", ODD_NAMES)
def test_a_line_is_the_one_that_the_program_writes(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"content")
    written = subprocess.run(
        ["sha256sum", "--", name], cwd=tmp_path, capture_output=True, check=True, timeout=60
    ).stdout
    assert line(hashlib.sha256(b"content").hexdigest(), name).encode() == written


@given(NAMES)
def test_every_name_is_one_line_from_which_it_can_be_told(name: str) -> None:
    made = line("ab12", name)
    assert made.count("\n") == 1
    escaped, digest, told = re.fullmatch(r"(\\?)([0-9a-f]+)  (.*)\n", made, re.DOTALL).groups()  # type: ignore[union-attr]
    if escaped:
        told = re.sub(r"\\(.)", lambda found: {"n": "\n", "r": "\r", "\\": "\\"}[found[1]], told)
    assert (digest, told) == ("ab12", name)


def test_a_list_has_the_files_of_all_datasets_and_nothing_else() -> None:
    rig = Rig()
    stage(rig, [member("run/a.h5", b"one"), member("b", b"")])
    stage(rig, [member("run/a.h5", b"two")], pid=Q)
    held = contents(rig, {PID: "first", Q: "second"})
    made = b"".join(checksum_list(held, ChecksumAlgorithm.SHA256)).decode()
    expected = {"first/run/a.h5": b"one", "first/b": b"", "second/run/a.h5": b"two"}
    assert {path: digest for digest, path in (each.split("  ", 1) for each in made.splitlines())} == {
        path: hashlib.sha256(content).hexdigest() for path, content in expected.items()
    }
    assert b"".join(checksum_list(held, ChecksumAlgorithm.MD5)) == b""


def test_there_is_a_list_of_what_is_hashed_besides() -> None:
    rig = Rig(policy=ChecksumPolicy(also_hash=("md5", "xxh3-64")))
    stage(rig, [member("a", b"one")])
    held = contents(rig, {PID: "d"})
    made = b"".join(checksum_list(held, ChecksumAlgorithm.MD5)).decode()
    assert made == f"{hashlib.md5(b'one').hexdigest()}  d/a\n"
    hashing = held.sources[0].manifest.hashing
    names = [each.name for each in listed([(Integrity.VERIFIED, hashing)])]
    assert names == ["MD5SUMS", "SHA256SUMS"]


def test_files_that_were_compared_by_size_alone_are_in_no_list() -> None:
    rig = Rig(policy=ChecksumPolicy(missing_checksum="size_only"))
    block = rig.archive(
        content=tar_of([member("a", b"one")]), listed=without_checksums({"a": b"one"}), algorithm=None
    )
    rig.staged_dataset(block)
    stage(rig, [member("b", b"two")], pid=Q)
    held = contents(rig, {PID: "first", Q: "second"})
    made = b"".join(checksum_list(held, ChecksumAlgorithm.SHA256)).decode()
    assert made == f"{hashlib.sha256(b'two').hexdigest()}  second/b\n"
    sha256 = Hashing((ChecksumAlgorithm.SHA256,))
    assert listed([(Integrity.SIZE_ONLY, sha256)]) == []
    (its,) = listed([(Integrity.SIZE_ONLY, sha256), (Integrity.VERIFIED, sha256)])
    assert not its.complete
