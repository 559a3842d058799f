"""What is refused before a backup is restored or a staging area adopted, and that nothing is left of what was refused."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from scicat_retriever.bootstrap.data_folder import make_data_folder
from scicat_retriever.bootstrap.keys import make_link_key, make_manifest_key
from scicat_retriever.bootstrap.ledger import build_ledger
from scicat_retriever.bootstrap.staging import staging_area
from scicat_retriever.domain.errors import LedgerUnavailable
from scicat_retriever.processes.adoption import adopt_staging
from scicat_retriever.processes.backup import KEY, LEDGER, MANIFEST_KEY, back_up, restore
from scicat_retriever.settings import Settings, SettingsInvalid


def settings(folder: Path, data: str = "data") -> Settings:
    return Settings.model_validate(
        {
            "data": folder / data,
            "api": {"tokens": ["a-token-of-the-tests"]},
            "catalogue": {"url": "https://scicat.example.org", "token": "another-token-of-the-tests"},
            "lts": {"root": folder / "lts"},
            "staging": {"root": folder / "staging"},
        }
    )


def a_backup(folder: Path) -> Path:
    """Make a ledger with a key, and a backup of both."""
    used = settings(folder)
    make_data_folder(used)
    make_link_key(used)
    make_manifest_key(used)
    build_ledger(used).close()
    list(back_up(used, folder / "backup"))
    return folder / "backup"


def test_a_staging_area_is_not_given_to_a_ledger_that_is_made_for_it(tmp_path: Path) -> None:
    used = settings(tmp_path)
    with pytest.raises(SettingsInvalid, match=r"no ledger at .*--data"):
        list(adopt_staging(used))
    assert list(tmp_path.iterdir()) == []


def test_a_staging_area_is_given_to_the_ledger_that_is_there(tmp_path: Path) -> None:
    used = settings(tmp_path)
    make_data_folder(used)
    with closing(build_ledger(used)) as ledger:
        (told,) = adopt_staging(used)
        assert staging_area(used).owner() == ledger.ownership.identity()
    assert "it is this ledger's now" in told


@pytest.mark.parametrize("content", [b"", b"no database" * 1000])
def test_a_sound_backup_is_restored_after_a_damaged_one_was_refused(tmp_path: Path, content: bytes) -> None:
    sound, fresh = a_backup(tmp_path), settings(tmp_path, "fresh")
    damaged = tmp_path / "damaged"
    damaged.mkdir()
    (damaged / LEDGER).write_bytes(content)
    with pytest.raises(LedgerUnavailable, match=str(damaged / LEDGER)):
        list(restore(fresh, damaged, remove_strays=False))
    assert list(fresh.data.iterdir()) == []
    list(restore(fresh, sound, remove_strays=False))
    assert (fresh.data / LEDGER).exists()


@pytest.mark.parametrize("name", [KEY, MANIFEST_KEY])
@pytest.mark.parametrize("content", ["", "short"])
def test_a_backup_s_key_that_is_none_is_refused_before_anything_is_copied(
    tmp_path: Path, content: str, name: str
) -> None:
    backup, fresh = a_backup(tmp_path), settings(tmp_path, "fresh")
    (backup / name).write_text(content)
    with pytest.raises(SettingsInvalid, match=rf"{backup / name} must hold a key .* another backup"):
        list(restore(fresh, backup, remove_strays=False))
    assert not fresh.data.exists()


@pytest.mark.parametrize("name", [KEY, MANIFEST_KEY])
def test_a_backup_s_key_may_have_become_readable_to_others(tmp_path: Path, name: str) -> None:
    backup, fresh = a_backup(tmp_path), settings(tmp_path, "fresh")
    (backup / name).chmod(0o644)
    list(restore(fresh, backup, remove_strays=False))
    assert (fresh.data / name).stat().st_mode & 0o077 == 0
    assert (fresh.data / name).read_text() == (tmp_path / "data" / name).read_text()
