from pathlib import Path

import pytest

from scicat_retriever import bootstrap
from scicat_retriever.settings import Settings, SettingsInvalid, load_settings


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
    bootstrap.make_data_folder(settings(tmp_path))
    assert (tmp_path / "data").stat().st_mode & 0o777 == 0o700


def test_a_data_folder_that_is_open_to_everybody_is_refused_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data").chmod(0o755)
    with pytest.raises(SettingsInvalid, match="chmod 700"):
        bootstrap.make_data_folder(settings(tmp_path))


def test_a_link_key_is_made_once_and_readable_by_its_user_alone(tmp_path: Path) -> None:
    used = settings(tmp_path)
    bootstrap.make_data_folder(used)
    bootstrap.make_link_key(used)
    (key,) = (tmp_path / "data").iterdir()
    first = key.read_bytes()
    bootstrap.make_link_key(used)
    assert key.read_bytes() == first
    assert len(first) == 64
    assert key.stat().st_mode & 0o777 == 0o600


def test_without_a_key_links_cannot_be_made_and_the_missing_setting_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsInvalid, match=r"links\.secret is missing"):
        bootstrap.build_links(settings(tmp_path))


def with_address(tmp_path: Path, **engine: object) -> Settings:
    return settings(tmp_path, engine={"address": "127.0.0.1:7233", **engine})


def test_the_engine_is_spoken_to_with_a_key_that_is_made_once_and_readable_by_its_user_alone(
    tmp_path: Path,
) -> None:
    used = with_address(tmp_path)
    bootstrap.make_data_folder(used)
    bootstrap.make_engine_key(used)
    (key,) = (tmp_path / "data").iterdir()
    first = bootstrap.engine_access(used)
    bootstrap.make_engine_key(used)
    assert bootstrap.engine_access(used) == first
    assert first.keys == (key.read_text(),)
    assert len(key.read_text()) == 64
    assert key.stat().st_mode & 0o777 == 0o600
    assert key.read_text() not in repr(first)


def test_a_second_line_in_the_file_of_the_engines_key_is_a_second_key(tmp_path: Path) -> None:
    used = with_address(tmp_path)
    bootstrap.make_data_folder(used)
    bootstrap.make_engine_key(used)
    file = tmp_path / "data" / "engine.key"
    old = file.read_text()
    file.write_text(f"{'n' * 64}\n{old}\n")
    assert bootstrap.engine_access(used).keys == ("n" * 64, old)


def test_keys_that_are_set_win_and_none_is_made(tmp_path: Path) -> None:
    used = with_address(tmp_path, keys=["k" * 32, "o" * 32])
    bootstrap.make_data_folder(used)
    bootstrap.make_engine_key(used)
    assert list((tmp_path / "data").iterdir()) == []
    assert bootstrap.engine_access(used).keys == ("k" * 32, "o" * 32)


def test_without_a_key_the_engine_is_not_spoken_to_and_the_missing_setting_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsInvalid, match=r"engine\.keys is missing"):
        bootstrap.engine_access(with_address(tmp_path))


@pytest.mark.parametrize(
    ("content", "mode", "why"),
    [
        ("a" * 64, 0o640, "chmod 600"),
        ("short", 0o600, "at least 32"),
        ("", 0o600, "at least 32"),
        ("é" * 40, 0o600, "read"),
    ],
)
def test_a_file_of_keys_that_cannot_be_trusted_is_refused(
    tmp_path: Path, content: str, mode: int, why: str
) -> None:
    used = with_address(tmp_path)
    bootstrap.make_data_folder(used)
    file = tmp_path / "data" / "engine.key"
    file.write_text(content, encoding="utf-8")
    file.chmod(mode)
    with pytest.raises(SettingsInvalid, match=why):
        bootstrap.engine_access(used)


def test_a_service_that_listens_everywhere_must_say_what_its_links_begin_with(tmp_path: Path) -> None:
    with pytest.raises(SettingsInvalid, match="public_url"):
        settings(tmp_path, api={"tokens": ["a-token-of-enough-length"], "host": "0.0.0.0"})


def test_without_a_broker_nothing_can_be_consumed_and_the_missing_setting_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsInvalid, match=r"broker\.url is missing.*RETRIEVER_BROKER__URL"):
        bootstrap.require_broker(settings(tmp_path))
