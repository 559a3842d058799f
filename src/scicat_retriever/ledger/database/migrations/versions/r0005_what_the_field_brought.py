"""Remarks, odd spellings, reports that can never be told, and ledgers that know their staging areas.

Remarks are on datasets, spellings of names of files. A ledger has an identity, and a list of the staging
areas that are its own.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "r0005"
down_revision = "r0004"


GONE = ("catalogue_job_unknown", "catalogue_job_unclosable", "dataset_unknown")
"""Codes of a report's failure that say that it can never be told."""


def upgrade() -> None:
    """Add the tables and columns of these."""
    _let_claims_wait()
    _tell_reports_apart()
    op.create_table(
        "remarks",
        sa.Column("pid", sa.Text(), nullable=False),
        sa.Column("remark", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("pid", name="pk_remarks"),
    )
    op.add_column("datablocks", sa.Column("matched_by", sa.Text(), nullable=False, server_default=""))
    op.add_column("datablocks", sa.Column("oddities", sa.Text(), nullable=False, server_default=""))
    op.add_column("chosen_datablocks", sa.Column("respelled", sa.Text(), nullable=False, server_default=""))
    op.create_table(
        "identity",
        sa.Column("id", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_identity"),
    )
    op.create_table(
        "marked_areas",
        sa.Column("place", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("place", name="pk_marked_areas"),
    )


def _tell_reports_apart() -> None:
    op.add_column(
        "reports", sa.Column("undeliverable", sa.Boolean(), nullable=False, server_default=sa.false())
    )
    op.add_column("reports", sa.Column("dropped", sa.Text(), nullable=False, server_default=""))
    reports = sa.table("reports", sa.column("failure"), sa.column("parked"), sa.column("undeliverable"))
    gone = sa.or_(*(reports.c.failure.startswith(f'[["{code}"', autoescape=True) for code in GONE))
    op.execute(sa.update(reports).where(reports.c.parked, gone).values(undeliverable=sa.true()))


def _let_claims_wait() -> None:
    """Claims may wait to grow."""
    op.add_column("claims", sa.Column("more", sa.BigInteger()))
    op.add_column("claims", sa.Column("overtaken", sa.BigInteger(), nullable=False, server_default="0"))
    op.add_column("claims", sa.Column("asked_at", sa.DateTime(timezone=True)))
    op.create_index("ix_claims_more", "claims", ["more"])
