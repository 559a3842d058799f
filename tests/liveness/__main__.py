"""`python -m tests.liveness --seeds 1000-3000`: plays random cases; `--depth 4`: all small ones in all orders of four steps."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from tests.liveness.cases import small_cases
from tests.liveness.search import SqliteFiles, in_memory, play_all, play_random


def main() -> int:
    """Play what is asked for; 1 where somebody waits for ever."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", default="", help="the first and the last, as 1-100")
    parser.add_argument("--depth", type=int, default=0, help="of all orders of the small cases")
    parser.add_argument("--sqlite", action="store_true", help="on a file, not in memory")
    asked = parser.parse_args()
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        open_ledger = SqliteFiles(Path(folder)) if asked.sqlite else in_memory
        first, _, last = asked.seeds.partition("-")
        for seed in range(int(first), int(last or first) + 1) if asked.seeds else ():
            try:
                play_random(seed, open_ledger)
            except AssertionError as error:
                failed += 1
                sys.stderr.write(f"seed {seed}: {error}\n")
        if asked.depth:
            for number, case in enumerate(small_cases()):
                try:
                    play_all(case, asked.depth, open_ledger)
                except AssertionError as error:
                    failed += 1
                    sys.stderr.write(f"small case {number}: {error}\n")
    return min(failed, 1)


if __name__ == "__main__":
    sys.exit(main())
