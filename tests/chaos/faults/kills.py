"""Kill -9 of each part, of the supervisor and of all, at each named step and at random instants."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

from tests.chaos.archives import Home
from tests.chaos.book import Entry
from tests.chaos.disks import can_mount
from tests.chaos.kind import Hit, Kind
from tests.chaos.service import VICTIMS, wait_until
from tests.chaos.truth import Job
from tests.chaos.wire import Heard, Hold
from tests.chaos.work import good_job, some_job
from tests.chaos.world import World

STEP_SECONDS = 20.0
RESUME_SECONDS = 20.0
_INTAKE = frozenset({"jobSubmitted", "submitted"})


@dataclass(frozen=True)
class Moment:
    """A step at which something is killed.

    Attributes:
        name: What it is called in the table.
        reached: Makes a job and returns it when it has come so far, with whether it has.
        full: Whether staging must be full for it.
    """

    name: str
    reached: Callable[[World], tuple[Job, bool]]
    full: bool = False


def kinds() -> Iterator[Kind]:
    """Give all kills: each victim at each moment.

    The supervisor takes all parts with it, nearly as if all were killed at once: each of the two has every second step.
    """
    for victim in VICTIMS:
        for moment in _moments_of(victim):
            yield Kind(
                f"kill {victim} at {moment.name}",
                partial(_kill, victim=victim, moment=moment),
                rereads=victim != "api",
                impossible=_no_mounts if moment.full else lambda _: "",
            )


def _no_mounts(_: World) -> str:
    return "" if can_mount() else "no disk can be mounted"


def _moments_of(victim: str) -> list[Moment]:
    at_random, *steps = _moments()
    match victim:
        case "supervisor":
            return [at_random, *steps[::2]]
        case "all":
            return [at_random, *steps[1::2]]
        case _:
            return [at_random, *steps]


def _moments() -> Iterator[Moment]:
    yield Moment("a random instant", _at_random)
    yield Moment("job stored", partial(_in_ledger, kind="job", state="jobSubmitted"))
    yield Moment("inProgress being told", partial(_held, matches=_tells_in_progress))
    yield Moment("inProgress told", partial(_in_ledger, kind="job", state="inProgress"))
    yield Moment("planned", partial(_in_ledger, kind="datablock", state="planned"))
    yield Moment("waiting for space", _waiting_for_space, full=True)
    yield Moment("recalling", partial(_in_ledger, kind="datablock", state="recalling"))
    yield Moment("recall being asked for", _asking_for_recall)
    yield Moment("recall asked for", _recall_asked)
    yield Moment("copying", partial(_in_ledger, kind="datablock", state="copying"))
    yield Moment("copied", partial(_in_ledger, kind="datablock", state="copied"))
    yield Moment("staged", partial(_in_ledger, kind="datablock", state="staged"))
    yield Moment("retrieved being told", partial(_held, matches=_tells_retrieved))
    yield Moment("job being closed", partial(_held, matches=_closes))


def _kill(world: World, victim: str, moment: Moment) -> Hit:
    with _staging_full(world) if moment.full else _nothing():
        job, hit = moment.reached(world)
        began = time.monotonic()
        before = world.service.kill(victim)
    for wire in (world.wire, world.archives.tapes.wire):
        for hold in wire.holds():
            wire.drop(hold)
    resumed = _resumed(world, victim, before, began) if world.rng.random() < world.recovered_kills else None
    return Hit(job, resumed, missed=not hit)


def _resumed(world: World, victim: str, before: set[int], killed: float) -> float | None:
    """Measure how long the service took to go on; None where nothing was to be done, or something else was wrong."""
    mark = world.book.mark()
    restarted = world.service.new_pid(victim, before)
    if restarted is None:
        return RESUME_SECONDS if before else None
    if victim == "api":
        went_on = wait_until(world.service.answers, RESUME_SECONDS)
        return time.monotonic() - restarted if went_on else RESUME_SECONDS

    def progress(entry: Entry) -> bool:
        return entry.seen > restarted and entry.new not in _INTAKE

    end = restarted + RESUME_SECONDS
    while time.monotonic() < end:
        entry = world.book.wait_for(progress, mark, 0.2)
        if not world.undoing.quiet_since(killed):
            return None
        if entry is not None:
            return entry.seen - restarted
        if all(job.waits_for_nothing for job in world.unfinished()):
            return None
    return RESUME_SECONDS


def _at_random(world: World) -> tuple[Job, bool]:
    job = some_job(world)
    time.sleep(world.rng.uniform(0.0, 1.2))
    return job, True


def _in_ledger(world: World, kind: str, state: str) -> tuple[Job, bool]:
    mark = world.book.mark()
    job = good_job(
        world,
        home=Home.STUB if state == "recalling" else Home.SHARE,
        large=state in {"copying", "copied"},
    )
    pids = {dataset.pid for dataset in job.datasets}

    def reached(entry: Entry) -> bool:
        return entry.kind == kind and entry.new == state and (entry.job_id == job.id or entry.pid in pids)

    return job, world.book.wait_for(reached, mark, STEP_SECONDS) is not None


def _held(world: World, matches: Callable[[Heard], bool]) -> tuple[Job, bool]:
    hold: Hold = world.wire.hold(matches)
    job = good_job(world)
    return job, hold.reached.wait(STEP_SECONDS)


def _asking_for_recall(world: World) -> tuple[Job, bool]:
    """The tape system has taken a request, and nobody knows what it calls it."""
    hold = world.archives.tapes.wire.hold(_stages)
    job = good_job(world, home=Home.TAPE)
    return job, hold.reached.wait(STEP_SECONDS)


def _recall_asked(world: World) -> tuple[Job, bool]:
    job = good_job(world, home=Home.TAPE)
    asked = "SELECT 1 FROM recalls JOIN job_datasets USING (pid) WHERE job_id = ? AND phase = 'asked'"
    return job, wait_until(lambda: bool(world.book.rows(asked, job.id)), STEP_SECONDS)


def _waiting_for_space(world: World) -> tuple[Job, bool]:
    job = good_job(world)
    in_line = "SELECT 1 FROM places WHERE job_id = ? AND needed IS NOT NULL"
    return job, wait_until(lambda: bool(world.book.rows(in_line, job.id)), STEP_SECONDS)


@contextmanager
def _staging_full(world: World) -> Iterator[None]:
    with world.undoing.trouble("staging"):
        world.staging.fill()
        try:
            yield
        finally:
            world.staging.free()


@contextmanager
def _nothing() -> Iterator[None]:
    yield


def _word(heard: Heard, key: str) -> str:
    return str(heard.body.get(key, "")) if heard.method == "PATCH" and isinstance(heard.body, dict) else ""


def _tells_in_progress(heard: Heard) -> bool:
    return _word(heard, "statusCode") == "inProgress"


def _tells_retrieved(heard: Heard) -> bool:
    return _word(heard, "retrieveStatusMessage") == "datasetRetrieved"


def _stages(heard: Heard) -> bool:
    return heard.method == "POST" and heard.path.endswith("/stage")


def _closes(heard: Heard) -> bool:
    return _word(heard, "statusCode").startswith("finished")
