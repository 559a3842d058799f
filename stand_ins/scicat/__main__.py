"""Run the stand-in as a process of its own: ``python -m stand_ins.scicat --port 3000``."""

import argparse
import sys
from collections.abc import Sequence

from stand_ins.scicat.access import PROFILES
from stand_ins.scicat.app import ScicatStandIn
from stand_ins.scicat.release import NEWEST_TAGGED, RELEASES
from stand_ins.scicat.server import base_url, loopback_socket, server_for
from stand_ins.scicat.url_action import archival_service


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve on 127.0.0.1 until interrupted."""
    parser = argparse.ArgumentParser(prog="python -m stand_ins.scicat", description=__doc__)
    parser.add_argument("--port", type=int, default=3000, help="port on 127.0.0.1; 0 takes a free one")
    parser.add_argument(
        "--release", default=NEWEST_TAGGED.name, choices=list(RELEASES), help="the SciCat to answer as"
    )
    parser.add_argument("--url-action", metavar="URL", help="where to POST each new retrieve job")
    parser.add_argument("--url-token", default="", help="bearer token for the url action")
    parser.add_argument("--url-template", default="observed", choices=("observed", "v4", "v3", "short"))
    parser.add_argument(
        "--profile",
        default="lab_default",
        choices=sorted(PROFILES),
        help="group settings; job_privileged has all that a retrieval service needs, the others lack or change some of it",
    )
    parser.add_argument("--token-lifetime", type=float, default=3600, metavar="SECONDS")
    given = parser.parse_args(arguments)
    action = (
        archival_service(given.url_action, given.url_token, given.url_template) if given.url_action else None
    )
    stand_in = ScicatStandIn(
        release=RELEASES[given.release],
        url_action=action,
        groups=PROFILES[given.profile],
        token_lifetime_seconds=given.token_lifetime,
    )
    with loopback_socket(given.port) as listening:
        sys.stdout.write(f"SciCat stand-in ({given.release}): {base_url(listening)}\n")
        sys.stdout.flush()
        server_for(stand_in).run([listening])


if __name__ == "__main__":
    main()
