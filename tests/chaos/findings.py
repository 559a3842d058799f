"""What is not as it should be."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum


class Fault(Enum):
    """The four sorts of violations."""

    LOST = "lost"
    STUCK = "stuck"
    FALSE = "false"
    LEAKED = "leaked"


@dataclass(frozen=True)
class Finding:
    """A violation, and of what."""

    fault: Fault
    subject: str
    what: str

    def __str__(self) -> str:
        return f"{self.fault.value}: {self.subject}: {self.what}"


def counts(findings: Sequence[Finding]) -> str:
    """Give the end of the last line: the number of subjects with each sort of violation."""
    subjects = Counter(fault for fault, _ in {(finding.fault, finding.subject) for finding in findings})
    return " ".join(f"{fault.value}={subjects[fault]}" for fault in Fault)
