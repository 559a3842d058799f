"""Recalls that all flows share, jobs that choose files, and the store that each datablock is read from."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "r0004"
down_revision = "r0003"


def upgrade() -> None:
    """Add what recalls and chosen files need.

    What was planned is read from the store that there was: `lts`.
    """
    # Not in a batch: that copies a SQLite table, and gives its constraints in any order.
    op.add_column("jobs", sa.Column("priority", sa.Integer(), nullable=False, server_default="0"))
    op.add_column(
        "job_datasets", sa.Column("chosen", sa.Boolean(), nullable=False, server_default=sa.false())
    )
    op.add_column("job_datasets", _text("unknown", server_default="[]"))
    op.add_column("datablocks", _text("store", server_default="lts"))
    op.add_column("datablocks", sa.Column("wanted", sa.Boolean(), nullable=False, server_default=sa.true()))
    op.add_column("datablocks", _text("extract", server_default=""))
    _new_tables()


def _new_tables() -> None:
    op.create_table(
        "chosen_datablocks",
        _text("job_id"),
        _text("pid"),
        _text("datablock"),
        sa.PrimaryKeyConstraint("job_id", "pid", "datablock", name="pk_chosen_datablocks"),
        sa.ForeignKeyConstraint(
            ["job_id", "pid"],
            ["job_datasets.job_id", "job_datasets.pid"],
            name="fk_chosen_datablocks_job_datasets",
            ondelete="CASCADE",
        ),
    )
    op.create_table(
        "recalls",
        _text("pid"),
        _text("datablock"),
        _text("store"),
        _text("archive_id"),
        sa.Column("place", sa.Integer(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        _text("run"),
        _text("owner_group"),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("wanted_at", sa.DateTime(timezone=True), nullable=False),
        _text("phase"),
        _text("tape", nullable=True),
        sa.Column("position", sa.BigInteger(), nullable=False),
        _text("request"),
        *(
            sa.Column(name, sa.DateTime(timezone=True))
            for name in ("asked_at", "first_asked_at", "online_at", "expected_at", "missing_since")
        ),
        _text("reason"),
        sa.PrimaryKeyConstraint("pid", "datablock", name="pk_recalls"),
        sa.ForeignKeyConstraint(
            ["pid", "datablock"],
            ["datablocks.pid", "datablocks.id"],
            name="fk_recalls_datablocks",
            ondelete="CASCADE",
        ),
    )
    op.create_index("ix_recalls_store_wanted_at", "recalls", ["store", "wanted_at"])
    op.create_table(
        "recall_leads",
        _text("store"),
        _text("holder"),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("store", name="pk_recall_leads"),
    )


def _text(name: str, *, nullable: bool = False, server_default: str | None = None) -> sa.Column[Any]:
    return sa.Column(name, sa.Text(), nullable=nullable, server_default=server_default)
