"""A regular look that fails: operators are told of it, as of what it finds."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from scicat_retriever.domain.errors import RetrieverError
from scicat_retriever.ports.findings import Findings


@contextmanager
def failure_noted(name: str, findings: Findings, failures: type[RetrieverError]) -> Iterator[None]:
    """Keep the failure of a look as its finding, and let it go on.

    Args:
        name: The name of the look's finding.
        findings: The ledger's book of findings.
        failures: The errors by which the look fails; others are a fault of the service, and are not kept.
    """
    try:
        yield
    except failures as error:
        findings.note(name, {"error": error.code, "message": str(error)})
        raise
