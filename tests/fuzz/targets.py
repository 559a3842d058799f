"""The targets by name: each takes an input's bytes and raises if something does not hold that must."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import MappingProxyType

from tests.fuzz.archive_target import check_archive
from tests.fuzz.unpacking_target import check_unpacking
from tests.fuzz.wire_targets import check_datablocks, check_job

CORPUS = Path(__file__).parent / "corpus"

TARGETS: MappingProxyType[str, Callable[[bytes], None]] = MappingProxyType(
    {
        "archive": check_archive,
        "datablocks": check_datablocks,
        "job": check_job,
        "unpacking": check_unpacking,
    }
)
