"""Titles of datasets, revoked links, downloads, wanted checks of staged files, and which are unpacked."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "r0006"
down_revision = "r0005"


def upgrade() -> None:
    """Add the tables of these."""
    op.create_table(
        "titles",
        sa.Column("pid", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("source_folder", sa.Text()),
        sa.PrimaryKeyConstraint("pid", name="pk_titles"),
    )
    op.create_table(
        "revoked_links",
        sa.Column("job_id", sa.Text(), nullable=False),
        sa.Column("times", sa.Integer(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("job_id", name="pk_revoked_links"),
        sa.ForeignKeyConstraint(
            ["job_id"], ["jobs.id"], name="fk_revoked_links_job_id_jobs", ondelete="CASCADE"
        ),
    )
    op.create_table(
        "downloads",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("job_id", sa.Text()),
        sa.Column("who", sa.Text(), nullable=False),
        sa.Column("what", sa.Text(), nullable=False),
        sa.Column("first", sa.BigInteger(), nullable=False),
        sa.Column("last", sa.BigInteger(), nullable=False),
        sa.Column("began", sa.DateTime(timezone=True), nullable=False),
        sa.Column("seen", sa.DateTime(timezone=True), nullable=False),
        sa.Column("sent", sa.BigInteger()),
        sa.Column("end", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_downloads"),
        sa.UniqueConstraint("id", name="uq_downloads_id"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_downloads_job_id_number", "downloads", ["job_id", "number"])
    op.create_index("ix_downloads_began", "downloads", ["began"])
    op.create_table(
        "wanted_checks",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("pid", sa.Text(), nullable=False),
        sa.Column("datablock", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_wanted_checks"),
        sa.UniqueConstraint("pid", "datablock", name="uq_wanted_checks_pid_datablock"),
        sa.ForeignKeyConstraint(
            ["pid", "datablock"],
            ["datablocks.pid", "datablocks.id"],
            name="fk_wanted_checks_pid_datablocks",
            ondelete="CASCADE",
        ),
    )
    op.add_column(
        "datablocks", sa.Column("unpacked", sa.Boolean(), nullable=False, server_default=sa.false())
    )
