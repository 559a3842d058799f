"""Datasets claim space, and no longer datablocks; they are pinned, and no longer kept until a time."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "r0003"
down_revision = "r0002"

_ENDED = "('finishedSuccessful', 'finishedWithDatasetErrors', 'finishedUnsuccessful')"
_STAGED_AT = """
    UPDATE datablocks SET staged_at = coalesce(
        (SELECT entered.at FROM entered WHERE entered.pid = datablocks.pid AND entered.datablock = datablocks.id), :now
    ) WHERE state = 'staged'
"""
_BYTES = """
    coalesce((SELECT sum(bytes_total) FROM datablocks WHERE datablocks.pid = its.pid AND datablocks.listed), 0)
"""
# A job that has not ended pins its datasets without an end; one that has ended, for as long as they were
# kept.
_PINS = f"""
    INSERT INTO pins (pid, owner, by_job, owner_group, bytes, until, created_at)
    SELECT its.pid, its.job_id, true, jobs.owner_group, {_BYTES}, NULL, :now
    FROM job_datasets its JOIN jobs ON jobs.id = its.job_id
    WHERE jobs.state NOT IN {_ENDED} AND its.state <> 'failed'
    UNION ALL
    SELECT its.pid, its.job_id, true, jobs.owner_group, {_BYTES}, kept.until, :now
    FROM job_datasets its JOIN jobs ON jobs.id = its.job_id
    JOIN (SELECT pid, max(keep_until) AS until FROM datablocks WHERE state = 'staged' GROUP BY pid) kept
      ON kept.pid = its.pid
    WHERE jobs.state IN {_ENDED} AND its.state = 'retrieved' AND kept.until > :now
"""  # noqa: S608 - made of the constants above alone

# Datasets that were started go on, whatever the room is now.
_GRANTED = f"""
    UPDATE jobs SET space_granted_at = :now WHERE jobs.state NOT IN {_ENDED} AND EXISTS (
        SELECT 1 FROM job_datasets its WHERE its.job_id = jobs.id AND its.state = 'started'
    )
"""  # noqa: S608
_CLAIMS = f"""
    INSERT INTO claims (pid, bytes)
    SELECT started.pid, coalesce(sum(rest.bytes_total), 0)
    FROM (
        SELECT DISTINCT its.pid FROM job_datasets its JOIN jobs ON jobs.id = its.job_id
        WHERE its.state = 'started' AND jobs.state NOT IN {_ENDED}
    ) started
    LEFT JOIN datablocks rest ON rest.pid = started.pid AND rest.listed AND rest.state <> 'staged'
    GROUP BY started.pid
"""  # noqa: S608
_SPACE = """
    INSERT INTO space (staged, claimed)
    SELECT (SELECT coalesce(sum(held_bytes), 0) FROM datablocks), (SELECT coalesce(sum(bytes), 0) FROM claims)
"""


def upgrade() -> None:
    """Add what the cache needs.

    Datasets that were started have claims, and their jobs their space; others ask for it.
    """
    _new_tables()
    _new_columns()
    _fill_datablocks()
    _run(_PINS)
    _run("UPDATE datablocks SET pinned = true WHERE state = 'staged' AND pid IN (SELECT pid FROM pins)")
    _run(_CLAIMS)
    _run(_GRANTED)
    _run(_SPACE)
    op.drop_table("reservations")
    op.drop_index("ix_datablocks_keep_until", "datablocks")
    op.drop_index("ix_datablocks_files_left", "datablocks")
    with op.batch_alter_table("datablocks") as table:
        table.drop_column("keep_until")
    _new_indexes()


def _new_tables() -> None:
    op.create_table(
        "claims", _text("pid"), _number("bytes"), sa.PrimaryKeyConstraint("pid", name="pk_claims")
    )
    op.create_table(
        "pins",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        _text("pid"),
        _text("owner"),
        sa.Column("by_job", sa.Boolean(), nullable=False),
        _text("owner_group", nullable=True),
        _number("bytes"),
        _time("until"),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_pins"),
        sa.UniqueConstraint("owner", "by_job", "pid", name="uq_pins_owner_by_job_pid"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_pins_pid", "pins", ["pid"])
    op.create_index("ix_pins_owner_group_pid_bytes", "pins", ["owner_group", "pid", "bytes"])
    op.create_table("space", _number("staged"), _number("claimed"))
    op.create_table(
        "places",
        _text("job_id"),
        sa.Column("wanted_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("needed", sa.BigInteger()),
        _number("overtaken"),
        _time("asked_at"),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name="fk_places_jobs", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("job_id", name="pk_places"),
    )
    op.create_index("ix_places_needed_wanted_at", "places", ["needed", "wanted_at"])


def _new_columns() -> None:
    with op.batch_alter_table("jobs") as table:
        table.add_column(_time("space_granted_at"))
    with op.batch_alter_table("job_datasets") as table:
        table.add_column(sa.Column("bytes", sa.BigInteger()))
    with op.batch_alter_table("copies") as table:
        table.add_column(sa.Column("receipt", sa.Text(), nullable=False, server_default=""))
    # Until now all copies were files in a directory; this is how that kind of staging area says their size.
    _run("UPDATE copies SET receipt = 'bytes:' || bytes_copied")
    with op.batch_alter_table("datablocks") as table:
        for name in ("staged_at", "used_at", "checked_at"):
            table.add_column(_time(name))
        table.add_column(sa.Column("pinned", sa.Boolean(), nullable=False, server_default=sa.false()))
        table.add_column(sa.Column("held_bytes", sa.BigInteger(), nullable=False, server_default="0"))


def _fill_datablocks() -> None:
    """Take the times from the book of transitions; of files left behind, the last known size."""
    _run(
        "CREATE TEMPORARY TABLE entered AS SELECT pid, datablock, max(at) AS at FROM transitions "
        "WHERE kind = 'datablock' AND new = 'staged' GROUP BY pid, datablock"
    )
    _run("CREATE UNIQUE INDEX ix_entered ON entered (pid, datablock)")
    _run(_STAGED_AT)
    _run("DROP TABLE entered")
    _run("UPDATE datablocks SET used_at = staged_at, checked_at = staged_at WHERE state = 'staged'")
    _run("UPDATE datablocks SET held_bytes = bytes_total WHERE state = 'staged'")
    _run("UPDATE datablocks SET held_bytes = bytes_done WHERE files_left")


def _new_indexes() -> None:
    op.create_index("ix_datablocks_files_left_pid_id", "datablocks", ["files_left", "pid", "id"])
    op.create_index("ix_datablocks_state_pid_id", "datablocks", ["state", "pid", "id"])
    op.create_index("ix_datablocks_partial", "datablocks", ["partial"])
    op.create_index("ix_datablocks_checked_at_pid_id", "datablocks", ["checked_at", "pid", "id"])
    op.create_index("ix_datablocks_by_use", "datablocks", ["state", "pinned", "used_at", "pid", "id"])
    by_size: list[str | sa.TextClause] = [
        "state",
        "pinned",
        sa.text("bytes_total DESC"),
        "used_at",
        "pid",
        "id",
    ]
    op.create_index("ix_datablocks_by_size", "datablocks", by_size)


def _run(statement: str) -> None:
    """Run a statement that may ask for the time of the upgrade, `:now`."""
    now = sa.bindparam("now", datetime.now(UTC), type_=sa.DateTime(timezone=True))
    bound = sa.text(statement)
    op.execute(bound.bindparams(now) if ":now" in statement else bound)


def _text(name: str, *, nullable: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.Text(), nullable=nullable)


def _number(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.BigInteger(), nullable=False)


def _time(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.DateTime(timezone=True))
