"""What is recorded: each scenario is played on a running service, and gives the jobs that were asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from stand_ins import local_http
from stand_ins.running import TOKEN, RunningService
from tests.acceptance.facility import Facility, block_states, some_datablocks, wait_until

LARGE = 3 * 2**30
"""Bytes of an archive whose copy takes some seconds: zeros, so it takes no disk."""

Scenario = Callable[[Facility, RunningService], list[str]]
"""Plays, waits for the end of what it plays, and gives the ids of its jobs."""


def _success(facility: Facility, service: RunningService) -> list[str]:
    pids = [facility.new_pid(), facility.new_pid()]
    for pid in pids:
        facility.archive(pid, some_datablocks(pid, 4))
    return _ended(facility, facility.ask_for(*pids))


def _many_datablocks(facility: Facility, service: RunningService) -> list[str]:
    """More than a window of them, and batches."""
    pid = facility.new_pid()
    facility.archive(pid, [{f"{number}.dat": str(number).encode()} for number in range(205)])
    return _ended(facility, facility.ask_for(pid))


def _corrupt_archive(facility: Facility, service: RunningService) -> list[str]:
    pid = facility.new_pid()
    archives = facility.archive(pid, some_datablocks(pid, 2))
    with (facility.folder.lts / archives[1]).open("r+b") as archive:
        archive.seek(512)  # the first file's first byte (POSIX.1-2001, ustar: one header block)
        archive.write(b"\0")
    return _ended(facility, facility.ask_for(pid))


def _missing_datablock(facility: Facility, service: RunningService) -> list[str]:
    pid = facility.new_pid()
    archives = facility.archive(pid, some_datablocks(pid, 2))
    facility.put_aside(archives[0])
    return _ended(facility, facility.ask_for(pid))


def _retried(facility: Facility, service: RunningService) -> list[str]:
    pid = facility.new_pid()
    archives = facility.archive(pid, some_datablocks(pid, 2))
    bring_back = facility.put_aside(archives[0])
    job_id = facility.ask_for(pid)
    facility.wait_for(job_id)
    bring_back()
    _ask(facility, "POST", f"{job_id}/retry")
    wait_until(lambda: facility.scicat.job(job_id)["statusCode"] == "finishedSuccessful")
    return [job_id]


def _two_jobs_one_dataset(facility: Facility, service: RunningService) -> list[str]:
    pid = facility.new_pid()
    (archive_id,) = facility.archive(pid, some_datablocks(pid, 1))
    bring_back = facility.put_aside(archive_id)
    jobs = [facility.ask_for(pid), facility.ask_for(pid)]
    wait_until(lambda: all(block_states(service, job) == ["recalling"] for job in jobs))
    bring_back()
    return _ended(facility, *jobs)


def _late_archive(facility: Facility, service: RunningService) -> list[str]:
    pid = facility.new_pid()
    archives = facility.archive(pid, some_datablocks(pid, 3))
    bring_back = facility.put_aside(archives[1])
    job_id = facility.ask_for(pid)
    wait_until(lambda: sorted(block_states(service, job_id)) == ["copied", "copied", "recalling"])
    bring_back()
    return _ended(facility, job_id)


def _cancelled_in_a_copy(facility: Facility, service: RunningService) -> list[str]:
    pid = facility.new_pid()
    facility.scicat.add_dataset(pid)
    block = facility.datablock(pid, 0, {"x.dat": b"x"})
    with (facility.folder.lts / str(block["archiveId"])).open("r+b") as archive:
        archive.truncate(LARGE)
    facility.scicat.add_datablocks(pid, [{**block, "packedSize": LARGE}])
    job_id = facility.ask_for(pid)
    wait_until(lambda: block_states(service, job_id) == ["copying"])
    _ask(facility, "DELETE", job_id)
    return _ended(facility, job_id)


def _scicat_unavailable(facility: Facility, service: RunningService) -> list[str]:
    """Long enough for looks for differences to fail, too."""
    pid = facility.new_pid()
    facility.archive(pid, some_datablocks(pid, 1))
    job_id = facility.ask_for(pid)
    facility.scicat.faults.fail(503, for_seconds=4.0)
    return _ended(facility, job_id)


def _abandoned_and_asked_for_again(facility: Facility, service: RunningService) -> list[str]:
    pid = facility.new_pid()
    (archive_id,) = facility.archive(pid, some_datablocks(pid, 1))
    bring_back = facility.put_aside(archive_id)
    first = facility.ask_for(pid)
    wait_until(lambda: block_states(service, first) == ["recalling"])
    _ask(facility, "DELETE", first)
    second = facility.ask_for(pid)
    bring_back()
    return _ended(facility, first, second)


def _deadline_passed(facility: Facility, service: RunningService) -> list[str]:
    pid = facility.new_pid()
    (archive_id,) = facility.archive(pid, some_datablocks(pid, 1))
    facility.put_aside(archive_id)
    return _ended(facility, facility.ask_for(pid))


def _ended(facility: Facility, *jobs: str) -> list[str]:
    for job_id in jobs:
        facility.wait_for(job_id)
    return list(jobs)


def _ask(facility: Facility, method: str, path: str) -> None:
    url = f"{facility.folder.url}/api/v1/jobs/{path}"
    headers = {"Authorization": f"Bearer {TOKEN}"}
    local_http.request(method, url, headers=headers, timeout=30).raise_for_status()


SCENARIOS: Mapping[str, Scenario] = {
    "success": _success,
    "many-datablocks": _many_datablocks,
    "corrupt-archive": _corrupt_archive,
    "missing-datablock": _missing_datablock,
    "retried": _retried,
    "two-jobs-one-dataset": _two_jobs_one_dataset,
    "late-archive": _late_archive,
    "cancelled-in-a-copy": _cancelled_in_a_copy,
    "scicat-unavailable": _scicat_unavailable,
    "abandoned-and-asked-for-again": _abandoned_and_asked_for_again,
}
"""Those that go well with the ordinary settings, by name."""
SHORT_DEADLINE: Mapping[str, Scenario] = {"deadline-passed": _deadline_passed}
"""Those that need a service that gives jobs little time."""
