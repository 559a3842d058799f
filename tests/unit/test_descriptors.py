"""The limit of open files, tried in a process of its own."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import resource
from scicat_retriever.processes.descriptors import raise_descriptor_limit
soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (64, min(hard, 5000)))
print(raise_descriptor_limit() == resource.getrlimit(resource.RLIMIT_NOFILE)[0] == min(hard, 5000))
"""


def test_the_soft_limit_becomes_the_hard_one() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, check=True, timeout=60)
    assert done.stdout == b"True\n"
