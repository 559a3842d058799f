"""Asks a `StubFolder` to recall files, as an HSM's own command does: `python -m stand_ins.tape.recall`."""

from __future__ import annotations

import argparse
import socket
import sys
from collections.abc import Sequence
from pathlib import Path


def main(arguments: Sequence[str] | None = None) -> int:
    """Ask; gives the exit code: 0 where all files are known, 1 where some are not, 2 where nobody answers."""
    parser = argparse.ArgumentParser(prog="recall", description=__doc__)
    parser.add_argument("socket", help="the folder's Unix socket")
    parser.add_argument("paths_file", type=Path, help="a file with one path in each line")
    given = parser.parse_args(arguments)
    try:
        known, asked = ask(given.socket, given.paths_file.read_bytes())
    except (OSError, ValueError) as error:
        print(f"recall: {error}", file=sys.stderr)  # noqa: T201 - a command's word to its caller
        return 2
    if known < asked:
        print(f"recall: {asked - known} of {asked} files are unknown", file=sys.stderr)  # noqa: T201 - as above
        return 1
    return 0


def ask(address: str, paths: bytes) -> tuple[int, int]:
    """Ask for recalls.

    Args:
        address: The Unix socket.
        paths: One path in each line.

    Returns:
        How many of them are known, and how many there were.

    Raises:
        OSError: Nobody answers.
        ValueError: The answer is none.
    """
    with socket.socket(socket.AF_UNIX) as asking:
        asking.settimeout(30)
        asking.connect(address)
        asking.sendall(paths)
        asking.shutdown(socket.SHUT_WR)
        with asking.makefile("rb") as answer:
            known, asked = answer.readline(100).split()
    return int(known), int(asked)


if __name__ == "__main__":
    sys.exit(main())
