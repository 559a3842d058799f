"""Record the histories of all flows: `python -m tests.histories.record [FOLDER]`.

Plays the scenarios on a real service and writes each flow's history to `FOLDER`, by default the one of the installed
version, whose old content is removed first.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from temporalio.client import Client, WorkflowExecution, WorkflowExecutionStatus, WorkflowHistory

from scicat_retriever import __version__
from scicat_retriever.workflow.engine.connection import EngineAccess, connect
from stand_ins.running import RunningService, free_port
from stand_ins.scicat import PROFILES
from tests.acceptance.facility import Facility, quick
from tests.histories import recording
from tests.histories.scenarios import SCENARIOS, SHORT_DEADLINE, Scenario

SETTINGS: dict[str, dict[str, object]] = {
    "flow": {"reconcile_interval": 1.0, "appear_timeout": 4.0},
    "cache": {"sweep_interval": 1.0, "check_interval": 1.0},
    "lts": {"offline_by_blocks": False, "recalls": {"mount_age": 0.0, "collect_time": 0.0}},
}
OF_SCHEDULES = ("SweepStaging", "Reconcile", "CheckStaging", "CheckFixity")


@dataclass
class Recorder:
    """Writes histories of one facility's flows.

    Attributes:
        folder: Where to.
        written: How many flows of a kind each scenario has so far.
        shapes: The sequences of events that schedules' flows were seen to have; each is kept once.
    """

    folder: Path
    written: Counter[tuple[str, str]] = field(default_factory=Counter)
    shapes: set[tuple[str, ...]] = field(default_factory=set)

    def play(self, scenarios: Mapping[str, Scenario], settings: dict[str, dict[str, object]]) -> None:
        """Play scenarios on a service of their own, and write what its flows did."""
        port = free_port()
        with (
            tempfile.TemporaryDirectory(prefix="histories-") as root,
            Facility.open(
                Path(root), quick(**settings, engine={"port": port}), groups=PROFILES["job_privileged"]
            ) as facility,
            RunningService(facility.folder) as service,
        ):
            facility.service = service
            names: dict[str, str] = {}
            for name, scenario in scenarios.items():
                print(name, flush=True)  # noqa: T201 - a command's own words
                for job_id in scenario(facility, service):
                    names[job_id] = name
                    for dataset in facility.scicat.job(job_id)["jobParams"]["datasetList"]:
                        names[dataset["pid"]] = name
            keys = (facility.folder.root / "data" / "engine.key").read_text().split()
            asyncio.run(
                self._write_all(
                    EngineAccess(f"127.0.0.1:{port}", "default", keys), names, _replacements(root)
                )
            )

    async def _write_all(
        self, access: EngineAccess, names: Mapping[str, str], replacements: Mapping[str, str]
    ) -> None:
        client = await connect(access)
        flows = await _when_ended(client)
        for flow in sorted(flows, key=lambda each: (each.start_time, each.id, each.run_id)):
            if flow.status is not WorkflowExecutionStatus.RUNNING:
                history = await recording.opened(await _history(client, flow), access)
                self._write(flow, recording.scrubbed(history, replacements), names)

    def _write(self, flow: WorkflowExecution, history: WorkflowHistory, names: Mapping[str, str]) -> None:
        kind = flow.workflow_type
        if kind in OF_SCHEDULES:
            shape = (kind, *(str(event.event_type) for event in history.events))
            if shape in self.shapes:
                return
            self.shapes.add(shape)
            name = "schedule"
        else:
            name = next(name for subject, name in names.items() if flow.id.endswith(subject))
        self.written[name, kind] += 1
        recording.write(history, self.folder / f"{name}.{kind}.{self.written[name, kind]}.json.gz")


async def _when_ended(client: Client) -> list[WorkflowExecution]:
    """Give all flows once those of jobs and datasets have ended: a dataset's may do so a moment after its job."""
    while True:
        flows = [flow async for flow in client.list_workflows()]
        running = {flow.workflow_type for flow in flows if flow.status is WorkflowExecutionStatus.RUNNING}
        if not running & {"RetrieveJob", "RetrieveDataset"}:
            return flows
        await asyncio.sleep(0.2)


async def _history(client: Client, flow: WorkflowExecution) -> WorkflowHistory:
    return await client.get_workflow_handle(flow.id, run_id=flow.run_id).fetch_history()


def _replacements(root: str) -> Mapping[str, str]:
    repository = str(recording.FOLDER.parents[1])
    return {
        root: "/facility",
        repository: "/retriever",
        sys.prefix: "/python",
        socket.gethostname(): "machine",
    }


def main() -> None:
    """Run the command."""
    folder = Path(sys.argv[1]) if sys.argv[1:] else recording.FOLDER / __version__
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    recorder = Recorder(folder)
    recorder.play(SCENARIOS, SETTINGS)
    short = {**SETTINGS, "flow": {**SETTINGS["flow"], "job_timeout": 3.0, "appear_timeout": 60.0}}
    recorder.play(SHORT_DEADLINE, short)
    size = sum(file.stat().st_size for file in folder.iterdir())
    print(f"{recorder.written.total()} histories, {size} bytes, in {folder}")  # noqa: T201
    sys.stdout.flush()
    # The engine's client can abort in its own threads while the interpreter shuts down; all is done by now.
    os._exit(0)


if __name__ == "__main__":
    main()
