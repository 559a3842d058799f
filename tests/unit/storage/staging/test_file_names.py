from __future__ import annotations

import os
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from scicat_retriever.domain.evidence import DatablockKey
from scicat_retriever.domain.ids import DatablockId, DatasetPid
from scicat_retriever.storage.staging.file_names import folder_name, safe_part

ANY_TEXT = st.text(alphabet=st.characters(exclude_categories=())) | st.text(alphabet="aA.%~,/2E", max_size=6)
LONG_TEXT = st.builds(lambda text, times: text * times, ANY_TEXT, st.integers(1, 300))


def folder(pid: str, datablock: str) -> str:
    return folder_name(DatablockKey(DatasetPid(pid), DatablockId(datablock)))


def test_an_ordinary_pid_stays_readable() -> None:
    assert folder("20.500.12345/abc-1", "65f0") == "20.500.12345%2Fabc-1,65f0"


@given(LONG_TEXT)
def test_a_name_is_one_safe_step_of_a_path(text: str) -> None:
    name = safe_part(text)
    assert 0 < len(os.fsencode(name)) <= 120
    assert Path("/x", name).resolve().parent == Path("/x")
    assert name.isascii()
    assert "," not in name
    assert name.isprintable()


@given(LONG_TEXT, LONG_TEXT)
def test_different_texts_have_different_names(one: str, other: str) -> None:
    assert (safe_part(one) == safe_part(other)) == (one == other)


@given(LONG_TEXT)
def test_no_other_text_has_the_name_of_a_long_one(text: str) -> None:
    name = safe_part(text)
    assert name == text or safe_part(name) != name


@given(ANY_TEXT, ANY_TEXT, ANY_TEXT, ANY_TEXT)
def test_different_keys_have_different_folders(a: str, b: str, c: str, d: str) -> None:
    assert (folder(a, b) == folder(c, d)) == ((a, b) == (c, d))
