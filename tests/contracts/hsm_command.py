# ruff: noqa: PTH105, PTH110, PTH118, PTH123
"""The command line of a hierarchical storage manager, as far as the stores that run commands need one.

Run as a program: `hsm_command.py FOLDER VERB [ARGUMENT ...]`. FOLDER holds a record for each archive; tests write them.
"""

from __future__ import annotations

import fcntl
import os
import sys
import time

# Nothing that takes long to import: it is run hundreds of times.

MISSING, AWAY, FORBIDDEN = 3, 75, 77
"""Exit codes, as in sysexits.h where that has one."""


class Records:
    """What the storage manager knows: a file of `key=value` lines for each archive, replaced as a whole."""

    def __init__(self, folder: str) -> None:
        self.folder = folder

    def set(self, name: str, only_if: tuple[str, str] | None = None, **changes: object) -> None:
        """Change a record, if the key of `only_if` has that value; whole, whoever else changes it."""
        with open(os.path.join(self.folder, "lock"), "w", encoding="utf-8") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            record = self.get(name) or {}
            if only_if is not None and record.get(only_if[0]) != only_if[1]:
                return
            new = f"{self._path(name)}.new"
            with open(new, "w", encoding="utf-8") as file:
                file.writelines(f"{key}={value}\n" for key, value in {**record, **changes}.items())
            os.replace(new, self._path(name))

    def get(self, name: str) -> dict[str, str] | None:
        try:
            with open(self._path(name), encoding="utf-8") as file:
                lines = file.read().splitlines()
        except FileNotFoundError:
            return None
        return {key: value for key, _, value in (line.partition("=") for line in lines)}

    def content(self, name: str) -> str:
        return f"{self._path(name)}.content"

    def is_marked(self, mark: str) -> bool:
        return os.path.exists(os.path.join(self.folder, mark))

    def mark(self, mark: str) -> None:
        with open(os.path.join(self.folder, mark), "w", encoding="utf-8"):
            pass

    def _path(self, name: str) -> str:
        raw = os.fsencode(name)
        # Names of 200 characters are too long for a file when written in hex.
        return os.path.join(self.folder, f"{raw.hex()[:100]}-{len(raw)}")


def main(folder: str, verb: str, *arguments: str) -> int:
    records = Records(folder)
    names = [each for each in arguments if each != "--"]
    if records.is_marked("away"):
        sys.stderr.write("cannot connect to the server\n")
        return AWAY
    if verb in {"states", "recalls", "releases", "places"}:
        with open(names[0], "rb") as listed:
            names = os.fsdecode(listed.read()).split("\n")[:-1]
        for name in names:
            _of_many(verb, name, records)
        return 0
    return _of_one(verb, names[0], names[1:], records)


def _of_many(verb: str, name: str, records: Records) -> None:
    record = records.get(name)
    if verb == "states":
        sys.stdout.write(f"{name}\t{_state(record)}\n")
    elif verb == "places" and record is not None and "tape" in record:
        sys.stdout.write(f"{name}\t{record['tape']}\t{record['position']}\n")
    elif verb == "recalls":
        records.set(name, only_if=("state", "OFFLINE"), state="RECALLING")
    elif verb == "releases" and record is not None:
        records.set(name, released=True)


def _state(record: dict[str, str] | None) -> str:
    if record is None:
        return "MISSING"
    if record.get("forbidden"):
        return "FORBIDDEN"
    return f"{record['state']} size={record['size']} {record.get('reason', '')}"


def _of_one(verb: str, name: str, rest: list[str], records: Records) -> int:
    record = records.get(name)
    if record is None:
        sys.stderr.write(f"no such archive: {name!r}\n")
        return MISSING
    if record.get("forbidden"):
        sys.stderr.write("permission denied\n")
        return FORBIDDEN
    if verb == "recall":
        return _recall(name, records)
    if verb == "fetch":
        target = open(rest[0], "wb") if rest else sys.stdout.buffer  # noqa: SIM115
        with target, open(records.content(name), "rb") as content:
            while piece := content.read(10_000):
                target.write(piece)
    elif verb == "release":
        records.set(name, released=True)
    elif verb == "place" and "tape" in record:
        sys.stdout.write(f"{record['tape']} {record['position']}\n")
    elif verb == "state":
        sys.stdout.write(f"{name}: {_state(record)}\n")
    return 0


def _recall(name: str, records: Records) -> int:
    """Wait until the tape delivers, or fails."""
    records.set(name, failure="", waiting=1)
    while (record := records.get(name)) is not None and record["state"] != "ONLINE":
        if record.get("failure"):
            sys.stderr.write(f"recall failed: {record['failure']}\n")
            records.set(name, waiting=0)
            return 1
        if records.is_marked("closed"):
            return 1
        time.sleep(0.01)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
