"""The documentation's examples are run: what a page shows is what the code takes."""

from __future__ import annotations

import json
import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from pytest_socket import disable_socket, enable_socket
from typer.testing import CliRunner

from scicat_retriever.broker.settings import BrokerSettings
from scicat_retriever.catalogue.wire import parse_job
from scicat_retriever.cli.main import app
from scicat_retriever.domain.errors import concrete_errors
from scicat_retriever.http_api.app import create_app
from scicat_retriever.settings import Settings, load_settings, sections_of
from tests.docs.handlebars import rendered
from tests.docs.pages import ROOT, Block, anchors, blocks, code_words, links, table_column

SOURCE = ROOT / "src" / "scicat_retriever"
SHELL = ("console", "sh")
TOKEN = "a-token-of-the-operator"
RECORDED_JOBS = {
    path.relative_to(ROOT / "tests/contracts/scicat/transcripts").parts[0]: path
    for path in (ROOT / "tests/contracts/scicat/transcripts").rglob("05d-recommended-config.json")
}
"""What a job was made with, by the release of SciCat."""
NEEDED: dict[str, dict[str, Any]] = {
    "api": {"token": [{"name": "scicat", "token": "a-token-for-the-tests", "scope": ["intake"]}]},
    "catalogue": {
        "url": "https://scicat.example.org",
        "username": "archiveManager",
        "password": "its-password",
    },
    "lts": {"root": "/archive"},
    "staging": {"root": "/staging/retriever"},
}
"""What a settings file cannot do without; a page that shows one section leaves the others out."""


@pytest.fixture(autouse=True)
def _closed_sockets() -> Iterator[None]:
    disable_socket(allow_unix_socket=True)
    yield
    enable_socket()


def command_lines() -> Iterator[tuple[str, list[str]]]:
    """Give each `retriever ...` of the blocks of shell and of units, from the subcommand on."""
    for block in blocks(*SHELL, "ini"):
        for match in re.finditer(r"^(?:ExecStart=)?(?:[^ =]*/)?retriever (.+)$", block.text, re.MULTILINE):
            yield block.place, shlex.split(match[1], comments=True)


def inline_commands() -> Iterator[tuple[str, list[str]]]:
    """Give each `retriever ...` that stands in a sentence."""
    for place, code in code_words():
        if re.fullmatch(r"retriever( [a-z-]+)+", code):
            yield place, code.split()[1:]


@pytest.mark.parametrize("block", [*blocks("toml")], ids=str)
def test_a_settings_file_on_a_page_is_accepted(
    block: Block, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = tomllib.loads(block.text)
    if not {"token", "tokens"} & shown.get("api", {}).keys():
        monkeypatch.setenv("RETRIEVER_API__TOKEN", json.dumps(NEEDED["api"]["token"]))
    if not {"password", "token"} & shown.get("catalogue", NEEDED["catalogue"]).keys():
        monkeypatch.setenv("RETRIEVER_CATALOGUE__PASSWORD", "its-password")
    file = tmp_path / "retriever.toml"
    # As a reader does, since the service refuses what the pages show in place of secrets.
    file.write_text(block.text.replace("change-me", "changed"), encoding="utf-8")
    missing = {section: keys for section, keys in NEEDED.items() if section not in shown}
    settings = load_settings(file, **missing).model_dump(mode="json")
    for section in shown.keys() - {"data"}:
        for key, value in shown[section].items():
            in_effect = _as_far_as_shown(settings[section][key], value)
            same = in_effect == value or str(in_effect).rstrip("/") == str(value).rstrip("/")
            assert same or "**" in str(in_effect), f"{section}.{key}"


def _as_far_as_shown(in_effect: Any, shown: Any) -> Any:
    """Leave out the keys of inner tables that a page does not show."""
    if not isinstance(shown, dict):
        return in_effect
    return {key: _as_far_as_shown(in_effect[key], value) for key, value in shown.items()}


@pytest.mark.parametrize(("place", "words"), [*command_lines(), *inline_commands()])
def test_a_command_on_a_page_exists(place: str, words: list[str]) -> None:
    groups = {group.name for group in app.registered_groups}
    length = 2 if words[0] in groups else 1
    command, rest = words[:length], words[length:]
    help_page = CliRunner().invoke(app, [*command, "--help"], env={"COLUMNS": "200", "NO_COLOR": "1"})
    assert help_page.exit_code == 0, f"{place}: there is no `retriever {' '.join(command)}`"
    known = set(re.findall(r"--[a-z-]+", help_page.output))
    assert {word for word in rest if word.startswith("-")} <= known, place


def test_the_table_of_commands_lists_them_all() -> None:
    cells = [cell.strip("`") for _, cell in table_column("command") if cell.startswith("`retriever")]
    listed = {" ".join(word for word in cell.split()[1:] if word.islower()) for cell in cells}
    assert listed == {*_names(app)} | {
        f"{group.name} {name}"
        for group in app.registered_groups
        if group.typer_instance is not None
        for name in _names(group.typer_instance)
    }


def _names(commands: typer.Typer) -> list[str]:
    return [each.name or each.callback.__name__ for each in commands.registered_commands if each.callback]


@pytest.mark.parametrize("block", [*blocks(*SHELL)], ids=str)
def test_a_make_target_on_a_page_exists(block: Block) -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"^make ([a-z]+)", block.text, re.MULTILINE)) <= targets


@pytest.mark.parametrize(("place", "page", "target"), [*links()])
def test_a_link_leads_somewhere(place: str, page: Path, target: str) -> None:
    path, _, anchor = target.partition("#")
    file = (page.parent / path).resolve() if path else page
    assert file.is_relative_to(ROOT), f"{place}: {target} leads out of the repository"
    assert file.exists(), f"{place}: there is no {path}"
    if anchor:
        assert anchor in anchors(file), f"{place}: {path} has no heading #{anchor}"


@pytest.mark.parametrize("block", [*blocks("json")], ids=str)
def test_json_on_a_page_is_json(block: Block) -> None:
    json.loads(block.text)


def create_actions(block: Block, kind: str) -> list[dict[str, Any]]:
    [job_type] = yaml.safe_load(block.text)["jobs"]
    assert job_type["jobType"] == "retrieve"
    return [action for action in job_type["create"]["actions"] if action["actionType"] == kind]


def configurations(kind: str) -> list[Block]:
    """Give the job configurations that hand a job over by one kind of action."""
    return [block for block in blocks("yaml") if create_actions(block, kind)]


def test_each_job_configuration_on_a_page_hands_the_job_over() -> None:
    assert {block.place for block in blocks("yaml")} == {
        block.place for kind in ("url", "rabbitmq") for block in configurations(kind)
    }


def recorded_job(release: str) -> dict[str, Any]:
    """Give a job as a release of SciCat was seen to store it."""
    exchanges = json.loads(RECORDED_JOBS[release].read_text(encoding="utf-8"))["exchanges"]
    job: dict[str, Any] = next(one["answer"] for one in exchanges if one["path"] == "/api/v4/jobs")
    return job


@pytest.mark.parametrize("release", sorted(RECORDED_JOBS))
@pytest.mark.parametrize("block", configurations("url"), ids=str)
def test_a_job_configuration_on_a_page_sends_a_job_that_is_taken(block: Block, release: str) -> None:
    job = recorded_job(release)
    [action] = create_actions(block, "url")
    body = rendered(action["body"], {"job": job, "env": {"RETRIEVER_TOKEN": TOKEN}})
    taken = parse_job(body.encode(), Settings.model_fields["job_types"].default)
    assert taken.id == job["id"]
    assert [each.pid for each in taken.datasets] == [each["pid"] for each in job["jobParams"]["datasetList"]]


@pytest.mark.parametrize("block", configurations("url"), ids=str)
def test_a_job_configuration_on_a_page_posts_to_the_intake_with_a_token(block: Block) -> None:
    [action] = create_actions(block, "url")
    headers = {
        name: rendered(text, {"env": {"RETRIEVER_TOKEN": TOKEN}}) for name, text in action["headers"].items()
    }
    route = re.sub(r"^https?://[^/]+", "", action["url"])
    assert "post" in create_app(None).openapi()["paths"][route]
    assert (action["method"], headers["Authorization"]) == ("POST", f"Bearer {TOKEN}")
    assert headers["Content-Type"] == "application/json"


@pytest.mark.parametrize("block", configurations("rabbitmq"), ids=str)
def test_a_job_configuration_on_a_page_publishes_to_the_queue_that_is_consumed(block: Block) -> None:
    [action] = create_actions(block, "rabbitmq")
    consumed = BrokerSettings.model_validate({"url": "amqp://user:password@rabbit.example.org"})
    shown = [tomllib.loads(each.text)["broker"] for each in blocks("toml") if "[broker]" in each.text]
    for section in (consumed.model_dump(), *shown):
        assert [section[key] for key in ("exchange", "queue", "binding_key")] == [
            action[key] for key in ("exchange", "queue", "key")
        ]


def setting_names() -> set[str]:
    """Give `key` for those at the top and `section.key` for the others."""
    names = set(Settings.model_fields)
    for section, field in Settings.model_fields.items():
        for model in sections_of(field):
            names |= {f"{section}.{key}" for key in model.model_fields}
    return names


SETTING = re.compile(
    r"((?:api|broker|cache|catalogue|lts|staging|engine|ledger|flow|links)\.(?!sqlite|key)[a-z_]+)(?: = .+)?"
)


def test_a_setting_named_on_a_page_exists() -> None:
    named = [(place, match[1]) for place, code in code_words() if (match := SETTING.fullmatch(code))]
    assert named
    assert [(place, name) for place, name in named if name not in setting_names()] == []


def test_an_environment_variable_named_on_a_page_is_a_setting() -> None:
    known = {"RETRIEVER_" + name.replace(".", "__").upper() for name in setting_names()}
    named = {
        (place, code) for place, code in code_words() if re.fullmatch(r"RETRIEVER_[A-Z]+__[A-Z_]+", code)
    }
    assert named
    assert {place for place, code in named if code not in known} == set()


def test_an_error_code_in_a_table_exists() -> None:
    codes = {error.code for error in concrete_errors()}
    named = [(place, cell.strip("`")) for place, cell in table_column("code")]
    assert named
    assert [(place, code) for place, code in named if code not in codes] == []


def test_a_source_file_named_on_a_page_exists() -> None:
    named = [
        (place, code) for place, code in code_words() if re.fullmatch(r"[a-z_]+(/[a-z_]+)*(/|\.py)", code)
    ]
    assert named
    missing = [
        (place, code) for place, code in named if not ((SOURCE / code).exists() or (ROOT / code).exists())
    ]
    assert missing == []


def _words_of_code() -> Iterator[tuple[str, str]]:
    """Give each word of inline code and of commands: where it stands, and the word."""
    for place, code in code_words():
        yield from ((place, word) for word in code.split())
    for block in blocks(*SHELL):
        yield from ((block.place, word) for word in block.text.split())


def test_a_path_below_a_folder_of_the_project_that_is_named_on_a_page_exists() -> None:
    tops = {path.name for root in (ROOT, SOURCE) for path in root.iterdir() if path.is_dir()} - {".venv"}
    named = {
        (place, word)
        for place, word in _words_of_code()
        if word.partition("/")[0] in tops and re.fullmatch(r"[\w.-]+(/[\w.-]+)+/?", word)
    }
    assert {"tests/unit", ".ci/run"} <= {word for _, word in named}
    missing = {each for each in named if not ((ROOT / each[1]).exists() or (SOURCE / each[1]).exists())}
    assert missing == set()


def test_a_test_named_on_a_page_exists() -> None:
    named = [(place, code) for place, code in code_words() if re.fullmatch(r"test_\w+", code)]
    assert named
    written = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
    assert [(place, code) for place, code in named if f"def {code}(" not in written] == []
