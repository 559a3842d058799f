"""`retriever consume`, and `retriever serve` with a broker, as an operator runs them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from scicat_retriever.broker.settings import BrokerSettings
from stand_ins.retrieval_page import datablocks
from stand_ins.running import RunningService, ServiceFolder
from stand_ins.scicat import JobType
from tests.acceptance.facility import QUICK, Facility, download, some_files, tar_of
from tests.integration.queue_rig import QueueRig, published_job, wait_until
from tests.integration.rabbitmq import PASSWORD, Rabbit

NO_SCICAT = "http://127.0.0.1:9"


def broker_section(queues: BrokerSettings) -> dict[str, Any]:
    return queues.model_dump(exclude_none=True) | {"url": queues.url.get_secret_value()}


def service_folder(root: Path, **settings: dict[str, Any]) -> ServiceFolder:
    root.mkdir(exist_ok=True)
    return ServiceFolder(root, NO_SCICAT, settings=settings)


@contextmanager
def consume(folder: ServiceFolder) -> Iterator[subprocess.Popen[bytes]]:
    """Run `retriever consume`; it is killed in the end if it still runs."""
    command = [sys.executable, "-m", "scicat_retriever", "consume", "--config", str(folder.write_settings())]
    with folder.log.open("ab") as log, subprocess.Popen(command, stderr=log) as process:
        try:
            yield process
        finally:
            process.kill()


def refusal(folder: ServiceFolder) -> str:
    """Give what `retriever consume` says when it cannot start."""
    with consume(folder) as process:
        assert process.wait(60) == 2
    return folder.log.read_text()


def test_a_published_job_is_in_the_ledger_and_sigterm_ends_the_consumer(
    tmp_path: Path, rig: QueueRig
) -> None:
    folder = service_folder(tmp_path, broker=broker_section(rig.settings), ledger={"url": rig.ledger_url})
    with consume(folder) as process:
        rig.publish(published_job("job-1"))
        wait_until(lambda: rig.stored("job-1"), "the job is in the ledger")
        process.terminate()
        assert process.wait(30) == 0
    assert rig.waiting() == 0
    assert PASSWORD not in folder.log.read_text()


def test_without_a_broker_in_the_settings_the_missing_key_is_named(tmp_path: Path) -> None:
    told = refusal(service_folder(tmp_path))
    assert "retriever: broker.url is missing" in told.splitlines()[-1]


def test_a_refused_password_is_told_in_the_last_line_without_showing_it(
    tmp_path: Path, rabbit: Rabbit, queues: BrokerSettings
) -> None:
    section = broker_section(queues) | {"url": rabbit.url_of("another-password")}
    told = refusal(service_folder(tmp_path, broker=section))
    assert "correct broker.url" in told.splitlines()[-1]
    assert "another-password" not in told


@pytest.mark.timeout(180)
def test_a_job_that_came_by_the_queue_alone_is_carried_out_by_serve(tmp_path: Path, rig: QueueRig) -> None:
    settings = QUICK | {"broker": broker_section(rig.settings)}
    with Facility.open(tmp_path / "facility", settings) as facility:
        facility.scicat.set_job_type(JobType())
        pid, content = facility.new_pid(), some_files("queue")
        facility.archive(pid, [content])
        with RunningService(facility.folder) as service:
            facility.service = service
            job_id = facility.ask_for(pid)
            rig.publish(facility.scicat.job(job_id))
            wait_until(
                lambda: facility.scicat.job(job_id)["statusCode"].startswith("finished"), "it ends", 90
            )
            job = facility.scicat.job(job_id)
            (link,) = datablocks(job)
            assert download(link["url"]) == tar_of(content)
    assert job["statusCode"] == "finishedSuccessful"
