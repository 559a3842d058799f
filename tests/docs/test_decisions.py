"""The index of decisions: it names each decision, by its title, with the state that the other decisions give it."""

from __future__ import annotations

import re
from pathlib import Path

from tests.docs.pages import ROOT

FOLDER = ROOT / "docs" / "decisions"
STATES = {"replaces": "replaced", "amends": "amended"}
"""What a decision says of an earlier one, and the state that this one has then; who is replaced is not amended."""


def decisions() -> list[Path]:
    return sorted(FOLDER.glob("[0-9]*.md"))


def changes(decision: Path, verb: str) -> list[str]:
    """Give the names of the decisions that one says it amends, or replaces."""
    return re.findall(rf"\bThis {verb} \[\d{{4}}\]\(([^)]+)\)", decision.read_text(encoding="utf-8"))


def state(decision: Path) -> str:
    """Say what became of a decision: what later ones say of it, else that it stands."""
    for verb, became in STATES.items():
        later = [other.name for other in decisions() if decision.name in changes(other, verb)]
        if later:
            return f"{became} by {', '.join(f'[{name[:4]}]({name})' for name in later)}"
    return "accepted"


def row(decision: Path) -> str:
    title = decision.read_text(encoding="utf-8").partition("\n")[0].removeprefix("# ")
    return f"| [{title}]({decision.name}) | {state(decision)} |"


def test_the_index_of_decisions_has_each_one_with_its_title_and_its_state() -> None:
    index = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| \[.*$", index, re.MULTILINE) == [row(decision) for decision in decisions()]


def test_each_decision_has_a_number_of_its_own_which_its_title_begins_with() -> None:
    numbers = [decision.name[:4] for decision in decisions()]
    assert numbers == [f"{number:04}" for number in range(1, len(numbers) + 1)]
    for decision in decisions():
        assert decision.read_text(encoding="utf-8").startswith(f"# {decision.name[:4]} ")


def test_a_decision_changes_earlier_ones_alone() -> None:
    for decision in decisions():
        changed = [name for verb in STATES for name in changes(decision, verb)]
        assert all(name < decision.name for name in changed), decision.name
