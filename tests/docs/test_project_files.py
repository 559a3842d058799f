"""What the project's own files say of one another: lock files, Pythons, hooks, folders of tests."""

from __future__ import annotations

import re
import tomllib
from typing import Any

import yaml

from tests.docs.pages import ROOT, table_column

PYPROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PROJECT: dict[str, Any] = PYPROJECT["project"]
_PIN = re.compile(
    r"^(?P<name>[a-z0-9-]+)(?:\[[^]]*\])?==(?P<version>\S+)(?P<condition> ; .*?)?(?: \\)?$", re.MULTILINE
)


def pins(lock: str) -> dict[str, list[tuple[str, str, frozenset[str]]]]:
    """Give what a lock file pins: by the package's name its versions, for which machines, with which hashes."""
    found: dict[str, list[tuple[str, str, frozenset[str]]]] = {}
    text = (ROOT / lock).read_text(encoding="utf-8")
    places = [*_PIN.finditer(text)]
    for match, following in zip(places, [*places[1:], None], strict=True):
        hashes = re.findall(r"--hash=(\S+)", text[match.end() : following.start() if following else None])
        pin = (match["version"], match["condition"] or "", frozenset(hashes))
        found.setdefault(match["name"], []).append(pin)
    return found


def names(requirements: list[str]) -> set[str]:
    """Give the packages that requirements of pyproject.toml name, as lock files write them."""
    return {re.split(r"[^\w.-]", line)[0].lower().replace("_", "-") for line in requirements}


def test_what_runs_is_pinned_as_what_is_tested() -> None:
    runs, tested = pins("requirements.lock"), pins("requirements-dev.lock")
    assert len(runs) > 50
    assert all(hashes for pinned in (*runs.values(), *tested.values()) for _, _, hashes in pinned)
    assert {name: tested.get(name) for name in runs} == runs


def test_the_lock_files_pin_what_the_project_asks_for() -> None:
    extras = PROJECT["optional-dependencies"]
    runs = names(PROJECT["dependencies"] + extras["embedded"] + extras["editable"])
    assert runs <= pins("requirements.lock").keys()
    assert runs | names(extras["dev"]) <= pins("requirements-dev.lock").keys()


def test_who_runs_the_service_installs_no_tool() -> None:
    extras = PROJECT["optional-dependencies"]
    assert not names(extras["dev"]) & pins("requirements.lock").keys()


def test_one_python_is_the_oldest_everywhere_and_the_one_that_is_said_to_be_run() -> None:
    oldest = PROJECT["requires-python"].removeprefix(">=")
    tools = PYPROJECT["tool"]
    assert tools["mypy"]["python_version"] == oldest
    assert tools["ruff"]["target-version"] == f"py{oldest.replace('.', '')}"
    assert f"--python-version {oldest}" in (ROOT / "Makefile").read_text(encoding="utf-8")
    named = [line for line in PROJECT["classifiers"] if line.startswith("Programming Language :: Python")]
    assert named == [f"Programming Language :: Python :: {oldest}"], (
        "name more once they are run on each change"
    )


def test_the_page_on_tests_tells_of_each_folder_that_has_some() -> None:
    told = {cell.strip("`") for place, cell in table_column("folder") if place.startswith("tests/README.md:")}
    assert told == {
        str(folder.relative_to(ROOT)) for folder in (ROOT / "tests").iterdir() if [*folder.rglob("test_*.py")]
    }


def test_the_hook_before_a_commit_is_make_lint() -> None:
    [repo] = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))["repos"]
    [hook] = repo["hooks"]
    assert repo["repo"] == "local", "a hook of another repository would have to be fetched"
    assert (hook["entry"], hook["pass_filenames"], hook["always_run"]) == ("make lint", False, True)
