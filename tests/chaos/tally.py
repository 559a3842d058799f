"""The figures of a run, as a table."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.chaos.findings import Finding, counts

RESUME_LIMIT = 5.0
"""Seconds from the restart of what was killed within which the work must go on."""


@dataclass
class _Row:
    count: int = 0
    missed: int = 0
    jobs: int = 0
    resumed: list[float] = field(default_factory=list)


@dataclass
class Tally:
    """Counts faults and what became of them.

    Attributes:
        jobs: Jobs that were judged.
        impossible: Kinds that could not be made here, with the reason.
        findings: All violations.
    """

    jobs: int = 0
    impossible: dict[str, str] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    _rows: dict[str, _Row] = field(default_factory=dict)

    @property
    def faults(self) -> int:
        """How many faults were injected."""
        return sum(row.count for row in self._rows.values())

    def add(self, kind: str, *, jobs: int, resumed: float | None, missed: bool) -> None:
        """Count a fault.

        Args:
            kind: Its kind.
            jobs: Jobs that were under way.
            resumed: Seconds until the work went on, where it was measured.
            missed: Whether the step that it was aimed at did not come.
        """
        row = self._rows.setdefault(kind, _Row())
        row.count += 1
        row.missed += missed
        row.jobs += jobs
        if resumed is not None:
            row.resumed.append(resumed)

    def report(self) -> str:
        """Give the table and the last line."""
        lines = ["| fault | count | step missed | jobs under way | resumed p50 | max | over 5 s |"]
        lines.append("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
        lines += [_line(kind, row) for kind, row in sorted(self._rows.items())]
        total = _Row()
        for row in self._rows.values():
            total.count += row.count
            total.missed += row.missed
            total.jobs += row.jobs
            total.resumed += row.resumed
        lines.append(_line("all", total))
        lines += [f"not made here: {kind}: {why}" for kind, why in sorted(self.impossible.items())]
        lines += [str(finding) for finding in self.findings]
        lines.append(f"chaos: faults={self.faults} jobs={self.jobs} {counts(self.findings)}")
        return "\n".join(lines)


def _line(kind: str, row: _Row) -> str:
    late = sum(1 for seconds in row.resumed if seconds > RESUME_LIMIT)
    resumed = _seconds(row.resumed) if row.resumed else "| | |"
    return f"| {kind} | {row.count} | {row.missed} | {row.jobs} {resumed} {late or ''} |"


def _seconds(measured: Sequence[float]) -> str:
    return f"| {statistics.median(measured):.1f} s | {max(measured):.1f} s |"
