"""Settings of several long-term stores."""

from __future__ import annotations

from pathlib import Path

import pytest

from scicat_retriever import bootstrap
from scicat_retriever.settings import SettingsInvalid, load_settings
from scicat_retriever.settings_page import effective
from scicat_retriever.storage.lts.posix_share import PosixShare

LEAST = """
[api]
tokens = ["a-token-of-the-tests"]
[catalogue]
url = "https://scicat.example.org"
username = "retriever"
password = "its-password"
[staging]
root = "/staging"
"""
LTS = '[lts]\nroot = "/lts"\n'
VAULT = '[stores.vault]\nroot = "/vault"\n'


def refused(tmp_path: Path, text: str) -> str:
    """Load settings that cannot be used; gives what is said of them."""
    file = tmp_path / "retriever.toml"
    file.write_text(LEAST + text)
    with pytest.raises(SettingsInvalid) as error:
        load_settings(file)
    return str(error.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[lts]\nkind = "floppy"\n', "`kind` must be `posix`, `s3_glacier`, `wlcg_tape` or `command`"),
        (LTS + '[stores.vault]\nkind = "posix"\n', "stores.vault.root is missing"),
        (LTS + '[stores.vault]\nkind = "posix"\n', "RETRIEVER_STORES__VAULT__ROOT"),
        (LTS + VAULT + "colour = 1\n", "stores.vault.colour is no setting"),
        (LTS + '[stores.Vault]\nroot = "/vault"\n', "stores.Vault"),
        (LTS + '[stores.""]\nroot = "/vault"\n', "stores."),
        (LTS + '[stores.lts]\nroot = "/vault"\n', "`stores.lts` is the store of the section [lts]"),
        (LTS + 'locations = ["a"]\n' + VAULT + 'locations = ["a"]\n', "'a' stands twice"),
        (LTS + 'other_copy = "attic"\n', "`other_copy` of lts names 'attic', which is no store"),
        (LTS + 'other_copy = "vault"\n' + VAULT + 'other_copy = "lts"\n', "leads in a circle"),
        (LTS + "[lts.recalls]\ndrives = 0\n", "lts.recalls.drives"),
        (LTS + "[lts.recalls]\nmount_age = 10.0\nlongest_wait = 5.0\n", "lts.recalls: longest_wait"),
        (LTS + '[lts.tape_places]\nkind = "pattern"\npattern = "["\n', "lts.tape_places.pattern: "),
        (LTS + 'locations = "a"\n', "lts.locations: Input should be a list"),
        (LTS + '[lts.probe]\nkind = "nothing"\n', "lts.probe"),
    ],
)
def test_what_cannot_be_used_is_refused_by_the_name_of_its_key(tmp_path: Path, text: str, said: str) -> None:
    assert said in refused(tmp_path, text)


def test_stores_are_built_with_their_locations_and_copies(tmp_path: Path) -> None:
    file = tmp_path / "retriever.toml"
    file.write_text(LEAST + LTS + 'other_copy = "vault"\n' + VAULT + 'locations = ["cold"]\n')
    stores = bootstrap.build_stores(load_settings(file))
    assert (stores.of_location("cold"), stores.of_location("warm")) == ("vault", "lts")
    assert stores.copies == {"lts": "vault"}
    assert isinstance(stores.named("vault"), PosixShare)


def test_a_store_may_be_set_in_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "retriever.toml"
    file.write_text(LEAST + LTS)
    monkeypatch.setenv("RETRIEVER_STORES__VAULT__KIND", "posix")
    monkeypatch.setenv("RETRIEVER_STORES__VAULT__ROOT", "/vault")
    assert str(load_settings(file).all_stores["vault"].root) == "/vault"  # type: ignore[union-attr]


def test_a_key_of_a_store_that_is_none_is_refused_in_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RETRIEVER_STORES__VAULT__COLOUR", "red")
    assert "stores.vault.colour is no setting" in refused(tmp_path, LTS)


def test_secrets_of_stores_are_not_shown(tmp_path: Path) -> None:
    file = tmp_path / "retriever.toml"
    text = '[stores.dcache]\nkind = "wlcg_tape"\nurl = "https://door.example.org"\nroot_path = "/archive"\ntoken = "a-secret-word"\n'
    file.write_text(LEAST + LTS + text)
    shown = effective(load_settings(file))
    assert "door.example.org" in shown
    assert "a-secret-word" not in shown
