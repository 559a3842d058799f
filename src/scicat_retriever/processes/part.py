"""A process of the service: started, started again when it ends, and asked to drain at the end."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from scicat_retriever.settings import SettingsInvalid

FIRST_PAUSE, LONGEST_PAUSE = 0.2, 2.0
"""Seconds before a part that ended is started again: doubled each time it ends soon, up to the longest."""
SETTLED_SECONDS = 10.0
"""Seconds after which the end of a part does not count as soon any more."""
STOP_SECONDS = 35.0
"""Seconds that a part may take to drain before it is killed: longer than the worker's own patience."""
REFUSED = 2
"""The exit code of a part that said why it cannot be run as it is set: another start would end the same."""
GIVEN_UP = 5
"""Ends in a row, before the service is ready, after which a vital part is not started again."""
_PR_SET_PDEATHSIG = 1
log = structlog.get_logger(__name__)


class PartUnusable(SettingsInvalid):
    """A part of the service cannot be run as it is set; the message names it."""


@dataclass(slots=True)
class Part:
    """A process of the service.

    Attributes:
        name: Its name in the log.
        command: Its command line.
        environment: Its environment.
        niceness: Its niceness (nice(2)): when processors are scarce, parts that answer people go first.
        folder: Its working folder; None for that of this process.
        vital: Whether the service is of no use without it.
        prepare: Called before each start, in a thread.
        starting: Whether the service is not ready yet. Until it is, a vital part that cannot be run ends the
            service. After that, the part is started again whatever happens, since it has run before.
    """

    name: str
    command: Sequence[str]
    environment: Mapping[str, str] = field(repr=False)
    niceness: int = 0
    folder: Path | None = None
    vital: bool = True
    prepare: Callable[[], object] = lambda: None
    starting: bool = True

    async def start(self) -> asyncio.subprocess.Process:
        """Start the process, bound to die with this one.

        A terminal's Ctrl-C does not reach it, since parts end in their order.
        """
        await asyncio.to_thread(self.prepare)
        return await asyncio.create_subprocess_exec(
            *self.command,
            env=self.environment,
            cwd=self.folder,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=sys.stderr.fileno(),  # standard output is for the supervisor's own words
            preexec_fn=self._set_up,
            process_group=0,
        )

    def _set_up(self) -> None:
        """Run in the new process, before its program."""
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        os.nice(self.niceness)

    async def keep_running(self) -> None:
        """Run the process, and start it again when it ends. When this is cancelled, ask it to drain.

        Raises:
            PartUnusable: The part ended before the service was ready, and would end the same way again.
        """
        pause, ends = FIRST_PAUSE, 0
        while True:
            started = asyncio.get_running_loop().time()
            process = await self.start()
            try:
                code = await process.wait()
            except asyncio.CancelledError:
                await _stop(process)
                raise
            if asyncio.get_running_loop().time() - started > SETTLED_SECONDS:
                pause, ends = FIRST_PAUSE, 0
            ends += code >= 0  # one that was killed can do nothing for it
            self._give_up(code, ends)
            log.warning("a part ended and is started again", part=self.name, code=code, pause=pause)
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE)

    def _give_up(self, code: int, ends: int) -> None:
        if self.starting and self.vital and (code == REFUSED or ends >= GIVEN_UP):
            often = "" if code == REFUSED else f" {ends} times in a row"
            raise PartUnusable(
                f"the {self.name} cannot be run: it ended{often} with code {code}; what it said is above"
            )


async def _stop(process: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    try:
        await asyncio.wait_for(process.wait(), STOP_SECONDS)
    except TimeoutError:
        process.kill()
        await process.wait()
