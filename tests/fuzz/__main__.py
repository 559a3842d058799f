"""Fuzz one target: `python -m tests.fuzz TARGET [options of libFuzzer] [folders of inputs]`.

What the fuzzer finds new goes into the first folder, what breaks a target into `-artifact_prefix`.
"""

from __future__ import annotations

import sys

import atheris

# The fuzzer is guided by what it instruments while it is imported.
with atheris.instrument_imports(
    include=[
        "scicat_retriever.onepass",
        "scicat_retriever.pipeline.transfer.overwriting",
        "scicat_retriever.pipeline.transfer.unpacking",
        "scicat_retriever.pipeline.transfer.verify",
        "scicat_retriever.catalogue.wire",
        "scicat_retriever.catalogue.datablocks.entry",
        "scicat_retriever.catalogue.datablocks.datablocks",
    ]
):
    from tests.fuzz.targets import TARGETS


def main() -> None:
    """Read the command line and fuzz until its limits are reached; ends the process."""
    name, *options = sys.argv[1:] or [""]
    if name not in TARGETS:
        sys.exit(f"name one of {', '.join(TARGETS)}")
    atheris.Setup([sys.argv[0], *options], TARGETS[name])
    atheris.Fuzz()


if __name__ == "__main__":
    main()
