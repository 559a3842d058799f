"""The consumer of jobs against a real RabbitMQ and a real ledger."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path

import pytest

from scicat_retriever.broker.inbox import CODE_HEADER, MESSAGE_HEADER
from scicat_retriever.broker.settings import BrokerSettings
from scicat_retriever.domain.dataset import RetrieveJob
from scicat_retriever.domain.errors import BrokerRefused, LedgerUnavailable
from scicat_retriever.domain.ids import JobId
from tests.integration.queue_rig import MAX_BODY_BYTES, QueueRig, published_job, wait_until
from tests.integration.rabbitmq import PASSWORD, Rabbit

ROOT = Path(__file__).parents[2]


def settings_with(rig: QueueRig, **changes: object) -> BrokerSettings:
    plain = rig.settings.model_dump() | {"url": rig.settings.url.get_secret_value()}
    return BrokerSettings.model_validate(plain | changes)


def test_a_published_job_is_stored_with_its_datasets_and_acknowledged(rig: QueueRig) -> None:
    with rig.consuming():
        rig.publish(published_job("job-1"))
        wait_until(lambda: rig.stored("job-1"), "the job is stored")
    (stored,) = rig.ledger.job_flows.to_start(10)
    record = rig.ledger.jobs.get(stored.job_id)
    assert record is not None
    assert [selection.pid for selection in record.job.datasets] == ["20.500.12345/job-1"]
    assert rig.waiting() == 0


def test_jobs_that_were_published_while_nobody_consumed_are_stored(rig: QueueRig) -> None:
    ids = sorted(f"job-{number:02d}" for number in range(30))
    rig.publish(*(published_job(job_id) for job_id in ids))
    with rig.consuming():
        wait_until(lambda: len(rig.stored_jobs()) == 30, "all jobs are stored")
    assert (rig.stored_jobs(), rig.waiting()) == (ids, 0)


def test_a_job_that_is_published_again_and_again_is_stored_once(rig: QueueRig) -> None:
    rig.publish(*[published_job("job-1")] * 25, published_job("last"))
    with rig.consuming():
        wait_until(lambda: rig.stored("last"), "the last job is stored")
    assert (rig.stored_jobs(), rig.waiting()) == (["job-1", "last"], 0)


def test_our_own_updates_and_jobs_of_other_types_are_taken_away_and_not_stored(rig: QueueRig) -> None:
    v3 = {"id": "v3", "type": "retrieve", "jobStatusMessage": "inProgress", "datasetList": [{"pid": "p"}]}
    with rig.consuming():
        rig.publish(
            published_job("in-progress", statusCode="inProgress"),
            published_job("ended", statusCode="finishedSuccessful"),
            v3,
            published_job("archived", type="archive"),
            published_job("job-1"),
        )
        wait_until(lambda: rig.stored("job-1"), "the job is stored")
    assert (rig.stored_jobs(), rig.waiting(), rig.parked()) == (["job-1"], 0, [])


def test_messages_that_are_no_jobs_are_parked_unchanged_with_the_reason(rig: QueueRig) -> None:
    large = published_job("large", comment="x" * MAX_BODY_BYTES)
    rig.publish(b"\x00no JSON", {"type": "retrieve"}, large, published_job("job-1"))
    with rig.consuming():
        wait_until(lambda: rig.stored("job-1"), "the job is stored")
        wait_until(lambda: rig.waiting(rig.settings.parked_queue) == 3, "three messages are parked")
    parked = {message.body: message for message in rig.parked()}
    assert (rig.waiting(), rig.stored_jobs()) == (0, ["job-1"])
    assert {body: message.headers[CODE_HEADER] for body, message in parked.items()} == {
        b"\x00no JSON": "job_malformed",
        b'{"type": "retrieve"}': "job_malformed",
        json.dumps(large).encode(): "job_too_large",
    }
    assert parked[b"\x00no JSON"].headers[MESSAGE_HEADER] == "What was sent is not JSON"
    assert all(message.persistent for message in parked.values())


def test_a_job_that_can_never_be_carried_out_is_refused_for_scicat_to_hear_and_not_parked(
    rig: QueueRig,
) -> None:
    rig.publish(published_job("empty", jobParams={"datasetList": []}), published_job("job-1"))
    with rig.consuming():
        wait_until(lambda: rig.stored("job-1") and rig.stored("empty"), "both jobs are known")
    refused = rig.ledger.jobs.get(JobId("empty"))
    assert refused is not None
    assert (refused.state, refused.message) == ("finishedUnsuccessful", "The job names no dataset")
    assert [report.subject.name for report in rig.ledger.reports.find()] == ["empty"]
    assert (rig.waiting(), rig.parked(), rig.stored_jobs()) == (0, [], ["job-1"])


def test_a_job_that_cannot_be_stored_by_a_fault_of_ours_is_parked_and_holds_up_no_other(
    rig: QueueRig,
) -> None:
    def faulty(job: RetrieveJob) -> object:
        if job.id == "odd":
            raise RuntimeError("a fault")
        return rig.accept(job)

    rig.publish(published_job("odd"), published_job("job-1"))
    with rig.consuming(faulty):
        wait_until(lambda: rig.stored("job-1"), "the other job is stored")
        wait_until(lambda: rig.waiting(rig.settings.parked_queue) == 1, "the odd one is parked")
    assert [message.headers[CODE_HEADER] for message in rig.parked()] == ["internal_error"]


def test_a_consumer_killed_between_store_and_acknowledgement_loses_and_doubles_nothing(rig: QueueRig) -> None:
    rig.publish(published_job("job-1"))
    settings = rig.settings.model_dump(mode="json") | {"url": rig.settings.url.get_secret_value()}
    command = [sys.executable, "-m", "tests.integration.dying_consumer", json.dumps(settings), rig.ledger_url]
    died = subprocess.run(command, cwd=ROOT, timeout=60, check=False)
    assert died.returncode == -signal.SIGKILL
    assert rig.stored_jobs() == ["job-1"]
    wait_until(lambda: rig.waiting() == 1, "the message is back in the queue")
    with rig.consuming():
        wait_until(lambda: rig.waiting() == 0, "the message is taken again")
    assert (rig.stored_jobs(), rig.waiting(), rig.parked()) == (["job-1"], 0, [])


def test_jobs_are_consumed_again_after_the_broker_was_killed_and_started(
    rig: QueueRig, rabbit: Rabbit
) -> None:
    with rig.consuming():
        rig.publish(published_job("before"))
        wait_until(lambda: rig.stored("before"), "the first job is stored")
        rabbit.kill()
        rabbit.start()
        rig.publish(published_job("after"))
        wait_until(lambda: rig.stored("after"), "the second job is stored")
    assert rig.waiting() == 0


def test_a_broker_that_is_down_at_the_start_is_waited_for(rig: QueueRig, rabbit: Rabbit) -> None:
    rig.publish(published_job("job-1"))
    rabbit.kill()
    with rig.consuming():
        rabbit.start()
        wait_until(lambda: rig.stored("job-1"), "the job is stored")


def test_a_queue_that_is_deleted_under_the_consumer_is_made_again(rig: QueueRig) -> None:
    with rig.consuming():
        rig.publish(published_job("before"))
        wait_until(lambda: rig.stored("before"), "the first job is stored")
        rig.delete_queue()
        rig.publish(published_job("after"))
        wait_until(lambda: rig.stored("after"), "the second job is stored")


def test_while_the_ledger_is_down_jobs_wait_in_the_queue_and_none_is_lost(rig: QueueRig) -> None:
    down = threading.Event()
    down.set()
    tries: Counter[str] = Counter()

    def sometimes(job: RetrieveJob) -> object:
        tries[job.id] += 1
        if down.is_set():
            raise LedgerUnavailable("the disk is full")
        return rig.accept(job)

    ids = [f"job-{number:02d}" for number in range(40)]
    rig.publish(*(published_job(job_id) for job_id in ids))
    with rig.consuming(sometimes):
        wait_until(lambda: tries.total() > 0, "the ledger is asked")
        wait_until(lambda: rig.waiting() == 40, "no message is held by the consumer")
        wait_until(lambda: max(tries.copy().values()) >= 5, "the ledger is asked again and again")
        # Those that were in hand when the ledger went away have been tried once, each in a thread of its own.
        again = [job_id for job_id, count in tries.copy().items() if count > 1]
        assert len(again) == 1, "one job alone is tried while the ledger is down"
        assert len(tries) <= rig.settings.prefetch, (
            "no more are taken from the queue while the ledger is down"
        )
        down.clear()
        wait_until(lambda: len(rig.stored_jobs()) == 40, "all jobs are stored")
    assert (rig.stored_jobs(), rig.waiting(), rig.parked()) == (ids, 0, [])


def test_a_consumer_that_is_stopped_first_finishes_what_it_has_in_hand(rig: QueueRig) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def slowly(job: RetrieveJob) -> object:
        begun.set()
        assert go_on.wait(15)
        return rig.accept(job)

    rig.publish(published_job("job-1"))
    with rig.consuming(slowly) as stop:
        assert begun.wait(15)
        stop()
        go_on.set()
    assert (rig.stored_jobs(), rig.waiting()) == (["job-1"], 0)


@pytest.mark.parametrize("what", ["password", "vhost"])
def test_an_account_that_is_refused_is_told_with_what_to_do(rig: QueueRig, rabbit: Rabbit, what: str) -> None:
    url, advice = {
        "password": (
            rabbit.url_of("another-password"),
            "refuses the user name or the password; correct broker.url",
        ),
        "vhost": (rabbit.url_of(PASSWORD, "nowhere"), "virtual host nowhere; create it"),
    }[what]
    with pytest.raises(BrokerRefused) as refused:
        rig.run(settings_with(rig, url=url))
    assert advice in str(refused.value)
    assert PASSWORD not in str(refused.value)
    assert "another-password" not in str(refused.value)


def test_a_queue_with_other_properties_is_told_with_its_name_and_what_to_do(rig: QueueRig) -> None:
    rig.declare(durable=False)
    with pytest.raises(BrokerRefused, match=r"broker\.queue") as refused:
        rig.run()
    assert f"queue '{rig.settings.queue}'" in str(refused.value)
    rig.delete_queue()


def test_a_port_without_tls_is_told_where_tls_is_asked_for(rig: QueueRig) -> None:
    url = rig.settings.url.get_secret_value().replace("amqp:", "amqps:")
    with pytest.raises(BrokerRefused, match="TLS cannot be set up"):
        rig.run(settings_with(rig, url=url))


def test_a_file_of_certificates_that_is_missing_is_named(rig: QueueRig, tmp_path: Path) -> None:
    url = rig.settings.url.get_secret_value().replace("amqp:", "amqps:")
    with pytest.raises(BrokerRefused, match=r"no-such-file\.pem cannot be read; correct broker\.ca_bundle"):
        rig.run(settings_with(rig, url=url, ca_bundle=tmp_path / "no-such-file.pem"))
