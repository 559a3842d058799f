"""A ledger of each released version is brought up to date with all that it holds.

`released/<revision>.sql` is the dump of a SQLite ledger that the code of that version filled. `full.py` tells how to
add one.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine, text

from scicat_retriever.domain.states import DatablockState, DatasetState, JobState
from scicat_retriever.ledger.database.connection import Database
from scicat_retriever.ledger.database.revision import HEAD
from scicat_retriever.ledger.database.schema import metadata
from scicat_retriever.ledger.database.upgrade import upgrade
from scicat_retriever.ledger.sql import SqlLedger, open_ledger
from scicat_retriever.ports.cache import EvictionOrder
from scicat_retriever.ports.claims import PlaceInLine
from scicat_retriever.ports.jobs import FlowName, JobDatasetRecord, JobRecord
from scicat_retriever.ports.reports import Report, Subject
from scicat_retriever.ports.staging_area import Room
from tests.contracts.ledger import dumps
from tests.contracts.ledger.dumps import DUMPS
from tests.contracts.ledger.full import CANCELLED, FAILED, FAR, KEPT, SHORT, R, dump
from tests.contracts.ledger.samples import (
    FAILURE,
    FLOW,
    HOUR,
    JOB,
    ODD,
    START,
    HandClock,
    P,
    Q,
    copied,
    files,
    job,
    key,
)
from tests.contracts.ledger.space_samples import grow
from tests.integration.postgres import Postgres

Make = Callable[[Path], str]
FIRST, SECOND, *_ = DUMPS
FOURTH = DUMPS[3]
each_release = pytest.mark.parametrize("release", DUMPS, ids=[file.stem for file in DUMPS])
before_priorities = pytest.mark.parametrize("release", DUMPS[:3], ids=[file.stem for file in DUMPS[:3]])


@pytest.fixture(params=["sqlite", "postgres"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Make:
    """Make a ledger of a released version, as its dump has it; gives its URL."""

    def made(release: Path) -> str:
        url = dumps.load(release, tmp_path / "released.db")
        if request.param == "sqlite":
            return url
        server: Postgres = request.getfixturevalue("postgres")
        target = server.make_database(f"released_{tmp_path.name.rpartition('-')[2]}_{release.stem}".lower())
        dumps.migrate(target, release.stem)
        dumps.copy(url, target)
        return target

    return made


def test_every_schema_but_the_newest_has_a_dump() -> None:
    assert {file.stem for file in DUMPS} >= set(dumps.revisions()[:-1])


@each_release
def test_a_migration_that_was_released_makes_the_tables_that_it_made_then(
    release: Path, tmp_path: Path
) -> None:
    dumps.migrate(url := f"sqlite:///{tmp_path / 'migrated.db'}", release.stem)
    assert dumps.schema_of(url) == dumps.schema_of(dumps.load(release, tmp_path / "released.db"))


@each_release
def test_a_dump_has_rows_in_every_table(release: Path, tmp_path: Path) -> None:
    assert all(dumps.rows_of(dumps.load(release, tmp_path / "released.db")).values())


@each_release
def test_an_upgraded_ledger_has_the_tables_of_today(release: Path, make: Make) -> None:
    upgrade(url := make(release))
    database = Database(url)
    with database.reading() as connection:
        differences = compare_metadata(MigrationContext.configure(connection), metadata)
    database.close()
    assert differences == []


@each_release
def test_an_upgraded_ledger_has_the_very_tables_of_a_new_one(release: Path, tmp_path: Path) -> None:
    upgrade(old := dumps.load(release, tmp_path / "released.db"))
    upgrade(new := f"sqlite:///{tmp_path / 'new.db'}")
    assert dumps.schema_of(old) == dumps.schema_of(new)


@each_release
def test_all_that_a_ledger_held_is_there_after_the_upgrade(release: Path, make: Make) -> None:
    before = dumps.rows_of(url := make(release))
    upgrade(url)
    after = dumps.rows_of(url)
    for table in set(before) & set(after):
        shared = set(before[table][0]) & set(after[table][0])
        assert _only(shared, after[table])[: len(before[table])] == _only(shared, before[table])


def _only(columns: set[str], rows: list[dict[str, object]]) -> list[dict[str, object]]:
    return [{name: row[name] for name in columns} for row in rows]


@each_release
def test_an_upgraded_ledger_holds_its_references(release: Path, tmp_path: Path) -> None:
    upgrade(dumps.load(release, file := tmp_path / "released.db"))
    with sqlite3.connect(file) as connection:
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []


@each_release
def test_an_upgraded_ledger_can_be_worked_with(release: Path, make: Make) -> None:
    clock = HandClock()
    clock.advance(timedelta(days=9))
    ledger = open_ledger(make(release), clock)
    ledger.jobs.move(JOB, JobState.UNSUCCESSFUL, "too late")
    assert ledger.jobs.retry(JOB, FlowName("2", "again"), [Q]) == 1
    assert [each.job_id for each in ledger.job_flows.to_start(9)] == [SHORT, JOB]
    ledger.jobs.cancel(CANCELLED, "ada")
    ledger.reports.unpark()
    ledger.jobs.add(job("new", P), FLOW)
    assert ledger.jobs.recent() == "new"
    last = max(report.number for report in ledger.reports.find())
    ledger.jobs.move(SHORT, JobState.IN_PROGRESS)
    assert ledger.reports.find()[-1].number > last
    ledger.close()


@pytest.fixture
def upgraded(make: Make, clock: HandClock) -> SqlLedger:
    """The ledger of the first release at the schema of today."""
    return open_ledger(make(FIRST), clock)


def test_a_job_of_the_first_release_is_at_its_first_attempt(upgraded: SqlLedger) -> None:
    changed = START + 3 * HOUR
    expected = JobRecord(job(JOB, P, Q), FLOW, JobState.IN_PROGRESS, ODD, START, changed)
    assert upgraded.jobs.get(JOB) == expected
    assert expected.attempt == 1
    upgraded.close()


def test_datasets_of_the_first_release_keep_their_failures(upgraded: SqlLedger) -> None:
    assert upgraded.jobs.datasets(JOB) == [
        JobDatasetRecord(P, DatasetState.STARTED),
        JobDatasetRecord(Q, DatasetState.FAILED, (FAILURE,)),
    ]
    upgraded.close()


def test_what_the_first_release_could_not_tell_is_parked(upgraded: SqlLedger) -> None:
    (report,) = upgraded.reports.find()
    when = START + 3 * HOUR
    assert report == Report(
        report.number, Subject.job(FAILED), JobState.UNSUCCESSFUL, when, when, 1, FAILURE, parked=True
    )
    upgraded.close()


@pytest.mark.parametrize("code", ["catalogue_job_unknown", "catalogue_job_unclosable", "dataset_unknown"])
def test_what_could_never_be_told_is_told_apart_after_the_upgrade(
    make: Make, clock: HandClock, code: str
) -> None:
    url = make(FOURTH)
    engine = create_engine(url)
    with engine.begin() as released:
        renamed = "UPDATE reports SET failure = replace(failure, 'checksum_mismatch', :code)"
        released.execute(text(renamed), {"code": code})
    engine.dispose()
    ledger = open_ledger(url, clock)
    states = [report.state for report in ledger.reports.find()]
    assert states == ["undeliverable", "waiting", "waiting", "waiting", "waiting"]
    assert ledger.reports.count_undeliverable() == 1
    ledger.close()


def test_evidence_of_the_first_release_is_good(upgraded: SqlLedger) -> None:
    assert upgraded.copies.get(key(0)) == copied(key(0))
    assert upgraded.copies.manifest(key(0)) == b"manifest of block-0"
    assert tuple(upgraded.datablocks.files(key(2))) == files()
    found = upgraded.datablocks.get(key(0))
    assert found is not None
    assert (found.state, found.staged_at) == (DatablockState.STAGED, START)
    upgraded.close()


def test_what_is_staged_since_an_older_release_counts_as_held_and_is_used_and_checked_then(
    upgraded: SqlLedger,
) -> None:
    found = upgraded.datablocks.get(key(0))
    assert found is not None
    assert (found.used_at, found.checked_at) == (START, START)
    # What the released datablock of Q left behind is held, too.
    assert upgraded.inventory.usage().staged == 2 * 1024
    assert upgraded.inventory.recount() == 0
    upgraded.close()


@each_release
def test_what_was_started_in_an_older_release_has_its_claim_and_its_job_its_space(
    release: Path, make: Make, clock: HandClock
) -> None:
    ledger = open_ledger(make(release), clock)
    # block-1 was being copied, of 2000 bytes; block-2 has 1000.
    ledger.claims.end_idle()
    assert ledger.inventory.usage().claimed == 3000
    assert ledger.inventory.recount() == 0
    assert ledger.claims.for_job(JOB, Room(0, 0), silence=HOUR) == PlaceInLine(0, 0, 0)
    assert grow(ledger, P, Room(0, 0)) == 0
    ledger.close()


@each_release
def test_what_was_not_started_in_an_older_release_claims_its_space(
    release: Path, make: Make, clock: HandClock
) -> None:
    ledger = open_ledger(make(release), clock)
    # P is on its way for another job; of Q, nothing is staged.
    needed = sum(record.bytes_total for record in ledger.datablocks.of(Q))
    assert ledger.claims.for_job(CANCELLED, Room(2000, None), silence=HOUR).needed == needed > 0
    assert [name for name, _ in ledger.claims.waiting_jobs()] == [CANCELLED]
    assert ledger.claims.for_job(CANCELLED, Room(10_000, None), silence=HOUR).granted
    ledger.close()


def test_what_jobs_that_go_on_asked_for_in_an_older_release_is_pinned_for_as_long(
    upgraded: SqlLedger,
) -> None:
    found = [(pin.owner, pin.pid, pin.group, pin.until) for _, pin in upgraded.pins.find()]
    assert sorted(found, key=str) == [
        (JOB, P, "p17", None),
        (CANCELLED, P, "p17", None),
        (CANCELLED, Q, "p17", None),
    ]
    assert upgraded.inventory.usage().pinned == 1024
    assert upgraded.pins.bytes_by_group() == {"p17": 4024 + 2024}
    upgraded.close()


def test_what_was_kept_for_a_job_that_has_ended_is_pinned_until_the_same_time(
    make: Make, clock: HandClock
) -> None:
    ledger = open_ledger(make(SECOND), clock)
    (kept,) = [pin for _, pin in ledger.pins.find(owner=KEPT)]
    assert (kept.pid, kept.by_job, kept.until) == (R, True, FAR)
    assert all(record.pinned for record in ledger.datablocks.of(R))
    assert ledger.cache.datablocks(EvictionOrder.LARGEST, FAR, 9) == []
    ledger.close()


@each_release
def test_what_was_planned_in_an_older_release_is_read_from_the_store_that_there_was(
    release: Path, make: Make, clock: HandClock
) -> None:
    ledger = open_ledger(make(release), clock)
    records = [record for pid in (P, Q) for record in ledger.datablocks.of(pid)]
    assert {(record.store, record.wanted) for record in records} == {("lts", True)}
    ledger.recalls.want([key(2)])
    assert [record.key for record in ledger.recalls.of_store("lts")] == [key(2)]
    ledger.close()


@before_priorities
def test_a_job_of_an_older_release_is_of_ordinary_priority_and_wants_its_datasets_whole(
    release: Path, make: Make, clock: HandClock
) -> None:
    ledger = open_ledger(make(release), clock)
    record = ledger.jobs.get(JOB)
    assert record is not None
    assert record.priority == 0
    assert not any(each.chosen or each.unknown for each in ledger.jobs.datasets(JOB))
    ledger.close()


def test_a_ledger_that_is_written_down_today_is_full(tmp_path: Path, clock: HandClock) -> None:
    (release := tmp_path / "today.sql").write_text(dump(tmp_path / "full.db"))
    url = dumps.load(release, tmp_path / "released.db")
    assert all(dumps.rows_of(url).values())
    ledger = SqlLedger.at(url, clock)
    record = ledger.jobs.get(JOB)
    assert record is not None
    assert record.message == ODD
    ledger.close()


def test_the_newest_revision_is_the_one_that_needs_no_upgrade() -> None:
    assert dumps.revisions()[-1] == HEAD
