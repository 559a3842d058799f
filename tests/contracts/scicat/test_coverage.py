"""No recorded exchange is forgotten: each is replayed, or left out with a reason."""

from pathlib import Path

import pytest

from tests.contracts.scicat.scenario import Scenario, scenarios

README = Path(__file__).parent / "README.md"


@pytest.mark.parametrize("scenario", scenarios(), ids=lambda one: one.name)
def test_each_entry_is_replayed_or_left_out_once(scenario: Scenario) -> None:
    replayed = [one["n"] for one in scenario.exchanges]
    left_out = [n for group in scenario.left_out for n in group["entries"]]
    assert sorted(replayed + left_out) == list(range(scenario.entries))


@pytest.mark.parametrize("scenario", scenarios(), ids=lambda one: one.name)
def test_what_is_left_out_has_a_reason(scenario: Scenario) -> None:
    assert all(len(group["reason"]) > 20 for group in scenario.left_out)


def test_the_table_of_the_readme_is_that_of_the_scenarios() -> None:
    text = README.read_text(encoding="utf-8")
    missing = [row for row in map(table_row, scenarios()) if row not in text]
    assert not missing, "\n".join(missing)


def table_row(scenario: Scenario) -> str:
    """Give the row of the table for a scenario: what is replayed, and what is left out and why."""
    groups = (f"{ranges(group['entries'])}: {group['reason']}" for group in scenario.left_out)
    replayed = ranges([one["n"] for one in scenario.exchanges]) or "none"
    return f"| `{scenario.source}` | {replayed} | {'<br>'.join(groups)} |"


def ranges(numbers: list[int]) -> str:
    """Write numbers as `0-3, 7`."""
    runs: list[list[int]] = []
    for number in sorted(numbers):
        if runs and runs[-1][-1] == number - 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ", ".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)
