"""Attack a service: `python -m tests.chaos --faults 100 --seed 1`. Prints a table; exits with 1 if anything is wrong."""

from __future__ import annotations

import argparse
import logging
import secrets
import shutil
import sys
import tempfile
from pathlib import Path

from tests.chaos.disks import enter_mount_namespace
from tests.chaos.rounds import Plan, run


def main() -> int:
    """Run as the command line says."""
    arguments = _arguments()
    enter_mount_namespace([sys.executable, "-m", "tests.chaos", *sys.argv[1:], "--seed", str(arguments.seed)])
    logging.disable(logging.ERROR)  # the stand-in's server tells of every connection that is cut
    root = Path(tempfile.mkdtemp(prefix="chaos-", dir=arguments.folder))
    part, parts = (int(number) for number in arguments.part.split("/"))
    plan = Plan(
        arguments.faults,
        arguments.seed,
        root,
        arguments.violations,
        arguments.only,
        (part - 1, parts),
        arguments.quick,
    )
    sys.stderr.write(f"seed {plan.seed}, in {root}\n")
    tally = run(plan)
    sys.stdout.write(tally.report() + "\n")
    sys.stdout.flush()
    if not tally.findings:
        shutil.rmtree(root)
        return 0
    only = (f" --only {plan.only!r}" if plan.only else "") + (" --quick" if plan.quick else "")
    again = f"--faults {plan.faults} --seed {plan.seed} --part {arguments.part}{only}"
    sys.stderr.write(f"kept: {root}\nagain: python -m tests.chaos {again}\n")
    return 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--faults", type=int, default=100, help="how many faults to inject")
    parser.add_argument(
        "--seed", type=int, default=secrets.randbelow(10**6), help="decides all that is random"
    )
    parser.add_argument(
        "--violations", type=int, default=1, help="rounds with violations after which to stop"
    )
    parser.add_argument("--only", default="", help="deal only kinds whose name contains this")
    parser.add_argument(
        "--part", default="1/1", help="1/2 and 2/2 share the kinds out between two runs side by side"
    )
    parser.add_argument("--quick", action="store_true", help="judge less often, let fewer kills recover")
    parser.add_argument("--folder", default=None, help="where facilities are made")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
