"""What is said of a folder that cannot be written."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from scicat_retriever.domain.errors import StoreUnavailable
from scicat_retriever.storage.lts.programs.spool import CommandSpool


def told(folder: Path | None) -> str:
    """What is said of a spool where no room can be made."""
    with pytest.raises(StoreUnavailable) as refused, CommandSpool(folder).room():
        pass
    return str(refused.value)


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    assert f"the folder {tmp_path / 'gone'} cannot be written: No such file" in told(tmp_path / "gone")


def test_the_system_s_folder_is_named_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    assert f"the folder {tmp_path / 'gone'} cannot be written: No such file" in told(None)
