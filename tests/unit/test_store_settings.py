"""Settings of several long-term stores."""

from __future__ import annotations

from pathlib import Path

import pytest

from scicat_retriever.bootstrap.stores import build_stores
from scicat_retriever.settings import SettingsInvalid, load_settings
from scicat_retriever.settings.page import effective
from scicat_retriever.storage.lts.posix.settings import PosixShareSettings
from scicat_retriever.storage.lts.posix.store import PosixShare

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
S3 = '[lts]\nkind = "s3_glacier"\n'
TAPE = '[lts]\nkind = "wlcg_tape"\nroot_path = "/archive"\ntoken = "a-secret-word"\n'
COMMANDS = '[lts]\nkind = "command"\n' + "".join(
    f'{verb} = ["hsm", "{{path}}"]\n' for verb in ("state", "recall", "fetch")
)
PROBES = "command, xattr, dot_command, lustre, gpfs, dmf or dcache"
COPIES_IN_A_CIRCLE = "  stores.vault.other_copy leads in a circle (lts, vault, lts): remove it"


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
        ('[lts]\nkind = "floppy"\n', "  lts.kind must be posix, s3_glacier, wlcg_tape or command"),
        (
            LTS + "[stores]\nvault = 1\n",
            "stores.vault is a section: write { kind = ... }, which must be posix, ",
        ),
        (LTS + '[stores.vault]\nkind = "posix"\n', "stores.vault.root is missing"),
        (LTS + '[stores.vault]\nkind = "posix"\n', "RETRIEVER_STORES__VAULT__ROOT"),
        (LTS + VAULT + "colour = 1\n", "stores.vault.colour is no setting"),
        (
            LTS + VAULT + 'bucket = "archive"\n',
            "stores.vault.bucket is no setting of kind posix (the default): set kind to s3_glacier, or remove it",
        ),
        (
            '[lts]\nkind = "s3_glacier"\nbucket = "archive"\nroot = "/lts"\n',
            "lts.root is no setting of kind s3_glacier: set kind to posix or command, or remove it",
        ),
        (LTS + '[stores.Vault_A]\nroot = "/vault"\n', "  stores.Vault_A: a store's name is of small letters"),
        (LTS + '[stores.""]\nroot = "/vault"\n', "stores."),
        (LTS + '[stores.lts]\nroot = "/vault"\n', "  stores.lts is the store of the section [lts]"),
        (
            LTS + 'locations = ["a"]\n' + VAULT + 'locations = ["a"]\n',
            "  'a' is among the locations of [lts] and ",
        ),
        (LTS + 'locations = ["a"]\n' + VAULT + 'locations = ["a"]\n', "[stores.vault]: leave it in one"),
        (LTS + 'other_copy = "attic"\n', "  lts.other_copy names 'attic', which is no store (known: lts)"),
        (LTS + 'other_copy = "vault"\n' + VAULT + 'other_copy = "lts"\n', COPIES_IN_A_CIRCLE),
        (LTS + "[lts.recalls]\ndrives = 0\n", "lts.recalls.drives"),
        (LTS + "[lts.recalls]\nmount_age = 10.0\nlongest_wait = 5.0\n", "lts.recalls: longest_wait"),
        (LTS + '[lts.tape_places]\nkind = "pattern"\npattern = "["\n', "lts.tape_places.pattern: "),
        (LTS + 'locations = "a"\n', "lts.locations: Input should be a list"),
        (LTS + '[lts.probe]\nkind = "tsm"\n', f"  lts.probe.kind must be {PROBES}"),
        (LTS + '[lts.probe]\nname = "user.hsm"\n', f"  lts.probe.kind must be {PROBES}"),
        (LTS + 'probe = "lustre"\n', 'lts.probe is a section: write { kind = "lustre" }'),
        (LTS + '[lts.tape_places]\npattern = "x"\n', "  lts.tape_places.kind must be pattern or command"),
        (
            LTS + 'recall_command = ["hsm", "recall"]\n',
            "lts.recall_command: the command names no archive: put {path} or {paths_file} into it",
        ),
        (
            S3 + 'bucket = "My_Archive"\n',
            "lts.bucket: must be 3 to 63 small letters, digits, dots and hyphens",
        ),
        (
            S3 + 'bucket = "archive"\nendpoint_url = "https://s3.example.org/path"\n',
            "lts.endpoint_url: must be https://host[:port] or http://host[:port], with no user and no path",
        ),
        (
            LTS + '[lts.recalls]\nbytes_in_flight = "10TB"\n',
            "lts.recalls.bytes_in_flight must be a number of bytes, such as 10_000_000_000_000",
        ),
        (
            TAPE + 'url = "http://door.example.org"\n',
            "  lts.url must begin with https://: a token may be sent over",
        ),
        (
            TAPE + 'url = "https://door.example.org"\nread_url = "http://door.example.org"\n',
            "  lts.read_url must begin with https://",
        ),
        (COMMANDS, "the section [lts.words] is missing: set at least one of lost, missing, unreadable, "),
        (COMMANDS + "[lts.words]\n", "lts.words: must have an entry: lost, missing, unreadable, "),
        (
            LTS + '[lts.probe]\nkind = "dot_command"\n[lts.probe.words]\n',
            "lts.probe.words: must have an entry",
        ),
    ],
)
def test_what_cannot_be_used_is_refused_by_the_name_of_its_key(tmp_path: Path, text: str, said: str) -> None:
    assert said in refused(tmp_path, text)


def test_where_a_kind_was_forgotten_the_keys_of_the_default_are_not_asked_for(tmp_path: Path) -> None:
    said = refused(tmp_path, '[lts]\nbucket = "archive"\nspool = "/spool"\nread_url = "https://x"\n')
    assert [line.split()[0] for line in said.splitlines()[1:]] == ["lts.bucket", "lts.spool", "lts.read_url"]


@pytest.mark.parametrize(
    "store", [LTS + 'spool = "/x"\n', LTS + 'bucket = "a"\n[lts.probe]\nkind = "a-secret-word"\n']
)
def test_no_value_is_repeated(tmp_path: Path, store: str) -> None:
    assert "a-secret-word" not in refused(tmp_path, store.replace('"/x"', '"a-secret-word"'))


def test_folders_and_files_that_are_not_there_yet_are_no_mistake(tmp_path: Path) -> None:
    file, absent = tmp_path / "retriever.toml", tmp_path / "absent"
    tape = TAPE.replace('token = "a-secret-word"', f'token_file = "{absent}"\nca_file = "{absent}"')
    commands = COMMANDS.replace("[lts]", "[stores.hsm]") + f'spool = "{absent}"\nwords = {{ online = "x" }}\n'
    vault = f'[stores.vault]\nroot = "{absent}"\n'
    file.write_text(LEAST + tape + 'url = "https://door.example.org"\n' + commands + vault)
    assert set(load_settings(file).all_stores) == {"lts", "hsm", "vault"}


def test_stores_are_built_with_their_locations_and_copies(tmp_path: Path) -> None:
    file = tmp_path / "retriever.toml"
    file.write_text(LEAST + LTS + 'other_copy = "vault"\n' + VAULT + 'locations = ["cold"]\n')
    stores = build_stores(load_settings(file))
    assert (stores.of_location("cold"), stores.of_location("warm")) == ("vault", "lts")
    assert stores.copies == {"lts": "vault"}
    assert isinstance(stores.named("vault"), PosixShare)


def test_a_store_may_be_set_in_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "retriever.toml"
    file.write_text(LEAST + LTS)
    monkeypatch.setenv("RETRIEVER_STORES__VAULT__KIND", "posix")
    monkeypatch.setenv("RETRIEVER_STORES__VAULT__ROOT", "/vault")
    vault = load_settings(file).all_stores["vault"]
    assert isinstance(vault, PosixShareSettings)
    assert str(vault.root) == "/vault"


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
