"""What SciCat has to hear gets a table of its own; jobs can be cancelled and retried."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "r0002"
down_revision = "r0001"


def upgrade() -> None:
    """Add the tables and columns; jobs of which SciCat could not be told become parked reports."""
    _reports()
    op.create_table(
        "findings",
        _text("name"),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        _text("found"),
        sa.PrimaryKeyConstraint("name", name="pk_findings"),
    )
    # `report_failure` held, as `reports.failure` does, a JSON list of at most one failure.
    op.execute(
        "INSERT INTO reports (kind, name, told, created_at, due_at, attempts, failure, parked, teller) "
        "SELECT 'job', id, state, updated_at, updated_at, 1, report_failure, true, '' FROM jobs "
        "WHERE report_failure <> '[]' ORDER BY number"
    )
    with op.batch_alter_table("jobs") as table:
        table.drop_column("report_failure")
        table.add_column(_text("failure", "[]"))
        table.add_column(sa.Column("attempt", sa.Integer(), nullable=False, server_default="1"))
        table.add_column(_text("cancelled_by", ""))
        table.add_column(sa.Column("cancel_told_at", sa.DateTime(timezone=True)))
    with op.batch_alter_table("job_datasets") as table:
        table.add_column(_text("reason", ""))
    op.create_index("ix_jobs_state_number", "jobs", ["state", "number"])
    op.create_index("ix_job_datasets_pid_job_id", "job_datasets", ["pid", "job_id"])


def _reports() -> None:
    op.create_table(
        "reports",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        _text("kind"),
        _text("name"),
        _text("told"),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        _text("failure"),
        sa.Column("parked", sa.Boolean(), nullable=False),
        _text("teller"),
        sa.Column("claimed_until", sa.DateTime(timezone=True)),
        sa.PrimaryKeyConstraint("number", name="pk_reports"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_reports_kind_name_number", "reports", ["kind", "name", "number"])
    op.create_index("ix_reports_parked_due_at", "reports", ["parked", "due_at"])


def _text(name: str, default: str | None = None) -> sa.Column[Any]:
    return sa.Column(name, sa.Text(), nullable=False, server_default=default)
