"""The first tables: jobs, datablocks and the book of transitions."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "r0001"
down_revision = None


def upgrade() -> None:
    """Make the tables."""
    _jobs()
    _datasets_of_jobs()
    _datablocks()
    _parts_of_datablocks()
    op.create_table(
        "transitions",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        _text("kind"),
        _text("job_id", nullable=True),
        _text("pid", nullable=True),
        _text("datablock", nullable=True),
        _text("old"),
        _text("new"),
        _text("reason"),
        sa.PrimaryKeyConstraint("number", name="pk_transitions"),
    )


def _jobs() -> None:
    op.create_table(
        "jobs",
        sa.Column("number", sa.Integer(), nullable=False),
        _text("id"),
        _text("type"),
        _text("owner_user", nullable=True),
        _text("owner_group", nullable=True),
        _text("flow_uuid"),
        _text("flow_name"),
        sa.Column("flow_started_at", sa.DateTime(timezone=True)),
        _text("state"),
        _text("message"),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        _text("report_failure"),
        sa.PrimaryKeyConstraint("number", name="pk_jobs"),
        sa.UniqueConstraint("id", name="uq_jobs_id"),
    )
    op.create_index("ix_jobs_flow_started_at_number", "jobs", ["flow_started_at", "number"])


def _datasets_of_jobs() -> None:
    op.create_table(
        "job_selections",
        _text("job_id"),
        sa.Column("selections", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], "fk_job_selections_jobs", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("job_id", name="pk_job_selections"),
    )
    op.create_table(
        "job_datasets",
        _text("job_id"),
        sa.Column("position", sa.Integer(), autoincrement=False, nullable=False),
        _text("pid"),
        _text("state"),
        _text("failures"),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], "fk_job_datasets_jobs", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("job_id", "position", name="pk_job_datasets"),
        sa.UniqueConstraint("job_id", "pid", name="uq_job_datasets_job_id_pid"),
    )


def _datablocks() -> None:
    op.create_table(
        "datablocks",
        _text("pid"),
        _text("id"),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("listed", sa.Boolean(), nullable=False),
        _text("archive_id"),
        _number("size"),
        _number("packed_size"),
        _text("algorithm", nullable=True),
        _number("file_count"),
        _text("fingerprint"),
        _text("state"),
        _text("reason"),
        _number("bytes_done"),
        _number("bytes_total"),
        _text("integrity", nullable=True),
        _text("archive_checksum", nullable=True),
        sa.Column("keep_until", sa.DateTime(timezone=True)),
        _text("partial"),
        sa.Column("files_left", sa.Boolean(), nullable=False),
        _text("run"),
        sa.PrimaryKeyConstraint("pid", "id", name="pk_datablocks"),
    )
    op.create_index("ix_datablocks_keep_until", "datablocks", ["keep_until"])
    op.create_index("ix_datablocks_files_left", "datablocks", ["files_left"])
    op.create_index("ix_datablocks_pid_listed_position", "datablocks", ["pid", "listed", "position"])


def _parts_of_datablocks() -> None:
    _part_of_datablock(
        "file_lists",
        sa.Column("chunk", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("entries", sa.LargeBinary(), nullable=False),
        key=("pid", "datablock", "chunk"),
    )
    _part_of_datablock(
        "copies",
        _text("archive_id"),
        _number("size"),
        _number("bytes_copied"),
        _text("archive_checksum"),
        _text("manifest_seal"),
        _number("members"),
        sa.Column("manifest", sa.LargeBinary(), nullable=False),
    )
    _part_of_datablock("reservations", _number("bytes"))


def _part_of_datablock(
    name: str, *columns: sa.Column[Any], key: tuple[str, ...] = ("pid", "datablock")
) -> None:
    op.create_table(
        name,
        _text("pid"),
        _text("datablock"),
        *columns,
        sa.ForeignKeyConstraint(
            ["pid", "datablock"],
            ["datablocks.pid", "datablocks.id"],
            f"fk_{name}_datablocks",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint(*key, name=f"pk_{name}"),
    )


def _text(name: str, *, nullable: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.Text(), nullable=nullable)


def _number(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.BigInteger(), nullable=False)
