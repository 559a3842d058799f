"""Flows that a released version began go on with the code as it is: each recorded one takes every step again."""

from __future__ import annotations

import asyncio
import re
import socket
from collections import Counter
from pathlib import Path

import pytest
from temporalio.worker import Replayer
from temporalio.workflow import NondeterminismError

from scicat_retriever import __version__
from scicat_retriever.workflow.worker import FLOWS, flow_runner
from stand_ins.running import TOKEN
from tests.histories import recording
from tests.histories.changed_flow import WithOneStepMore
from tests.histories.scenarios import SCENARIOS, SHORT_DEADLINE

HISTORIES = sorted(recording.FOLDER.glob("*/*.json.gz"))
VERSIONS = sorted({file.parent for file in HISTORIES})


def name_of(path: Path) -> str:
    return str(path.relative_to(recording.FOLDER))


def replay(file: Path, *flows: type) -> None:
    replayer = Replayer(workflows=flows, workflow_runner=flow_runner())
    asyncio.run(replayer.replay_workflow(recording.read(file)))


@pytest.mark.parametrize("file", HISTORIES, ids=name_of)
def test_a_recorded_flow_can_go_on(file: Path) -> None:
    replay(file, *FLOWS)


@pytest.mark.parametrize("version", VERSIONS, ids=name_of)
def test_a_flow_that_takes_one_step_more_is_refused(version: Path) -> None:
    with pytest.raises(NondeterminismError):
        replay(version / "success.RetrieveDataset.1.json.gz", WithOneStepMore)


def test_this_version_has_a_history_of_each_flow_and_scenario() -> None:
    of_this_version = [file for file in HISTORIES if file.parent.name == __version__]
    kept = Counter(tuple(file.name.split(".")[:2]) for file in of_this_version)
    wanted = {
        (name, flow)
        for name in {**SCENARIOS, **SHORT_DEADLINE}
        for flow in ("RetrieveJob", "RetrieveDataset")
    }
    assert wanted | {("schedule", "SweepStaging"), ("schedule", "Reconcile")} <= kept.keys()
    assert kept["retried", "RetrieveJob"] == 2
    assert kept["two-jobs-one-dataset", "RetrieveJob"] == 2


@pytest.mark.parametrize("file", HISTORIES, ids=name_of)
def test_a_history_tells_nothing_of_the_machine_and_no_secret(file: Path) -> None:
    said = recording.everything_said(file)
    assert recording.IDENTITY in said
    for word in (TOKEN, "archivemanager-pw", socket.gethostname()):
        assert word not in said
    assert re.findall(r"(?:^|[\s\"'(=:])/(?:tmp|root|home|var|usr|opt|work)/", said) == []
    assert re.findall(r"[0-9]+@[\w-]+", said) == []


def test_the_histories_are_small() -> None:
    assert sum(file.stat().st_size for file in HISTORIES) < 10**6 * len(VERSIONS)
