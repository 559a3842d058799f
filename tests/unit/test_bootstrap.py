from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from scicat_retriever.bootstrap.broker import require_broker
from scicat_retriever.bootstrap.clock import utc_now
from scicat_retriever.bootstrap.data_folder import check_apart, make_data_folder
from scicat_retriever.bootstrap.engine import engine_access
from scicat_retriever.bootstrap.keys import make_engine_key, make_link_key, make_manifest_key
from scicat_retriever.bootstrap.links import build_links, build_signer
from scicat_retriever.bootstrap.staging import build_staging
from scicat_retriever.bootstrap.toolbox import build_toolbox
from scicat_retriever.domain.errors import LinkTampered
from scicat_retriever.domain.evidence import DatablockKey
from scicat_retriever.domain.ids import DatablockId, DatasetPid
from scicat_retriever.settings import Settings, SettingsInvalid, load_settings
from tests.fakes.ledger import InMemoryLedger


def settings(tmp_path: Path, **sections: dict[str, object]) -> Settings:
    return load_settings(
        None,
        data=tmp_path / "data",
        **{
            "api": {"tokens": ["a-token-of-enough-length"]},
            "catalogue": {"url": "http://scicat.test", "token": "a-scicat-token"},
            "lts": {"root": str(tmp_path)},
            "staging": {"root": str(tmp_path / "staging")},
            **sections,
        },
    )


def test_the_data_folder_is_made_for_its_user_alone(tmp_path: Path) -> None:
    make_data_folder(settings(tmp_path))
    assert (tmp_path / "data").stat().st_mode & 0o777 == 0o700


def test_a_data_folder_that_is_open_to_everybody_is_refused_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data").chmod(0o755)
    with pytest.raises(SettingsInvalid, match="chmod 700"):
        make_data_folder(settings(tmp_path))


def test_a_link_key_is_made_once_and_readable_by_its_user_alone(tmp_path: Path) -> None:
    used = settings(tmp_path)
    make_data_folder(used)
    make_link_key(used)
    (key,) = (tmp_path / "data").iterdir()
    first = key.read_bytes()
    make_link_key(used)
    assert key.read_bytes() == first
    assert len(first) == 64
    assert key.stat().st_mode & 0o777 == 0o600


def test_a_key_of_manifests_is_made_once_and_readable_by_its_user_alone(tmp_path: Path) -> None:
    used = settings(tmp_path)
    make_data_folder(used)
    assert build_signer(used) is None
    make_manifest_key(used)
    (key,) = (tmp_path / "data").iterdir()
    signer = build_signer(used)
    make_manifest_key(used)
    again = build_signer(used)
    assert signer is not None
    assert again is not None
    assert signer.public_key == again.public_key
    assert key.name == "manifest.key"
    assert key.stat().st_mode & 0o777 == 0o600
    assert key.read_text() not in signer.public_key


def test_machines_that_are_given_one_key_sign_alike_and_keep_none(tmp_path: Path) -> None:
    one, other = (settings(tmp_path / name, links={"manifest_secret": "m" * 32}) for name in ("a", "b"))
    for each in (one, other):
        make_data_folder(each)
        make_manifest_key(each)
        assert list(each.data.iterdir()) == []
    signers = [build_signer(one), build_signer(other)]
    assert len({each.public_key for each in signers if each is not None}) == 1


def test_without_a_key_links_cannot_be_made_and_the_missing_setting_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsInvalid, match=r"links\.secret is missing"):
        build_links(settings(tmp_path))


def with_address(tmp_path: Path, **engine: object) -> Settings:
    return settings(tmp_path, engine={"address": "127.0.0.1:7233", **engine})


def test_the_engine_is_spoken_to_with_a_key_that_is_made_once_and_readable_by_its_user_alone(
    tmp_path: Path,
) -> None:
    used = with_address(tmp_path)
    make_data_folder(used)
    make_engine_key(used)
    (key,) = (tmp_path / "data").iterdir()
    first = engine_access(used)
    make_engine_key(used)
    assert engine_access(used) == first
    assert first.keys == (key.read_text(),)
    assert len(key.read_text()) == 64
    assert key.stat().st_mode & 0o777 == 0o600
    assert key.read_text() not in repr(first)


def test_a_second_line_in_the_file_of_the_engines_key_is_a_second_key(tmp_path: Path) -> None:
    used = with_address(tmp_path)
    make_data_folder(used)
    make_engine_key(used)
    file = tmp_path / "data" / "engine.key"
    old = file.read_text()
    file.write_text(f"{'n' * 64}\n{old}\n")
    assert engine_access(used).keys == ("n" * 64, old)


def test_keys_that_are_set_win_and_none_is_made(tmp_path: Path) -> None:
    used = with_address(tmp_path, keys=["k" * 32, "o" * 32])
    make_data_folder(used)
    make_engine_key(used)
    assert list((tmp_path / "data").iterdir()) == []
    assert engine_access(used).keys == ("k" * 32, "o" * 32)


def test_without_a_key_the_engine_is_not_spoken_to_and_the_missing_setting_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsInvalid, match=r"engine\.keys is missing"):
        engine_access(with_address(tmp_path))


@pytest.mark.parametrize(
    ("content", "mode", "why"),
    [
        ("a" * 64, 0o640, "chmod 600.*openssl rand.*first line"),
        ("short", 0o600, "at least 32"),
        ("", 0o600, "at least 32"),
        ("change-me-to-32-or-more-random-characters", 0o600, "example of the documentation"),
        ("é" * 40, 0o600, "read"),
    ],
)
@pytest.mark.parametrize(
    ("name", "use"),
    [("engine.key", engine_access), ("links.key", build_links), ("manifest.key", build_signer)],
)
def test_a_file_of_keys_that_cannot_be_trusted_is_refused(
    tmp_path: Path, content: str, mode: int, why: str, name: str, use: Callable[[Settings], object]
) -> None:
    used = with_address(tmp_path)
    make_data_folder(used)
    file = tmp_path / "data" / name
    file.write_text(content, encoding="utf-8")
    file.chmod(mode)
    with pytest.raises(SettingsInvalid, match=why):
        use(used)


@pytest.mark.parametrize("content", ["", "é" * 40])
@pytest.mark.parametrize(
    ("name", "use", "what"),
    [
        ("engine.key", engine_access, "jobs under way are started again"),
        (
            "links.key",
            build_links,
            "put it back from the backup.*all links that were given until now end",
        ),
        ("manifest.key", build_signer, "put it back from the backup.*public key of their time"),
    ],
)
def test_who_removes_a_file_of_keys_is_told_what_that_costs(
    tmp_path: Path, content: str, name: str, use: Callable[[Settings], object], what: str
) -> None:
    used = with_address(tmp_path)
    make_data_folder(used)
    file = tmp_path / "data" / name
    file.write_text(content, encoding="utf-8")
    file.chmod(0o600)
    with pytest.raises(SettingsInvalid, match=what):
        use(used)


@pytest.mark.parametrize("where", ["settings", "file"])
def test_links_of_a_former_key_are_valid_while_it_is_named(tmp_path: Path, where: str) -> None:
    old, new = "o" * 32, "n" * 32
    first = settings(tmp_path, links={"secret": old})
    (tmp_path / "data").mkdir(mode=0o700)
    if where == "file":
        (tmp_path / "data" / "links.key").write_text(f"{new}\n{old}\n")
        (tmp_path / "data" / "links.key").chmod(0o600)
        changed = settings(tmp_path)
    else:
        changed = settings(tmp_path, links={"secret": new, "former_secrets": [old]})
    now = datetime.now(UTC)
    key = DatablockKey(DatasetPid("p"), DatablockId("b"))
    query = parse_qs(urlsplit(build_links(first).link(key, "a.tar", now + timedelta(1)).url).query)
    signed = (key, "a.tar", int(query["expires"][0]), query["signature"][0], now)
    build_links(changed).check(*signed)
    with pytest.raises(LinkTampered):
        build_links(settings(tmp_path, links={"secret": new})).check(*signed)


@pytest.mark.parametrize(
    "secret",
    ["short", "change-me-to-32-or-more-random-characters", "at-least-32-characters-and-the-same-everywhere"],
)
@pytest.mark.parametrize(
    "key",
    [{"links": "secret"}, {"engine": "keys"}, {"links": "former_secrets"}, {"links": "manifest_secret"}],
    ids=str,
)
def test_a_key_that_everybody_knows_is_refused(tmp_path: Path, secret: str, key: dict[str, str]) -> None:
    ((section, name),) = key.items()
    value: object = secret if name.endswith("secret") else [secret]
    with pytest.raises(SettingsInvalid, match=f"{section}.{name}") as refused:
        settings(tmp_path, **{section: {name: value}})
    assert secret not in str(refused.value)


def test_a_service_that_listens_everywhere_must_say_what_its_links_begin_with(tmp_path: Path) -> None:
    with pytest.raises(SettingsInvalid, match="public_url"):
        settings(tmp_path, api={"tokens": ["a-token-of-enough-length"], "host": "0.0.0.0"})


def test_without_a_broker_nothing_can_be_consumed_and_the_missing_setting_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsInvalid, match=r"broker\.url is missing.*RETRIEVER_BROKER__URL"):
        require_broker(settings(tmp_path))


@pytest.mark.parametrize(
    ("engine", "more", "missing"),
    [
        ("temporal.example.org:7233", {}, "ledger.url"),
        ("10.0.0.7:7233", {"ledger": {"url": "postgresql+psycopg://r:p@db/r"}}, "api.public_url"),
    ],
)
def test_where_an_engine_serves_several_machines_each_must_know_what_they_share(
    tmp_path: Path, engine: str, more: dict[str, dict[str, object]], missing: str
) -> None:
    with pytest.raises(SettingsInvalid, match=rf"^{missing} is missing: the engine at {engine}"):
        check_apart(settings(tmp_path, engine={"address": engine}, **more))


@pytest.mark.parametrize("address", ["127.0.0.1:7233", "localhost:7233", "127.8.8.8:7233"])
def test_what_runs_apart_on_one_machine_shares_its_files(tmp_path: Path, address: str) -> None:
    check_apart(settings(tmp_path, engine={"address": address}))
    check_apart(settings(tmp_path))


def test_a_data_folder_that_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")
    with pytest.raises(SettingsInvalid, match="data: "):
        make_data_folder(settings(tmp_path))


def test_a_staging_area_that_would_never_have_room_is_refused(tmp_path: Path) -> None:
    used = settings(tmp_path, staging={"root": str(tmp_path / "staging"), "keep_free_bytes": 2**62})
    with pytest.raises(SettingsInvalid, match=r"staging\.keep_free_bytes"):
        build_staging(used, InMemoryLedger(utc_now))


def test_a_library_that_cannot_go_by_the_environment_is_an_error_that_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", "/nowhere/ca.pem")
    used = settings(
        tmp_path,
        catalogue={"url": "https://scicat.test", "token": "a-scicat-token"},
        links={"secret": "s" * 32},
    )
    used.data.mkdir()
    with pytest.raises(SettingsInvalid, match=r"^catalogue: .*SSL_CERT_FILE"):
        build_toolbox(used)
