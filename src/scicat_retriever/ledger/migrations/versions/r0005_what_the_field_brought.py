"""What the field brought: remarks on datasets, names spelled differently, ledgers that know themselves and their staging areas."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "r0005"
down_revision = "r0004"


def upgrade() -> None:
    """Add a table for the former, and columns for the latter."""
    op.create_table(
        "remarks",
        sa.Column("pid", sa.Text(), nullable=False),
        sa.Column("remark", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("pid", name="pk_remarks"),
    )
    op.add_column("datablocks", sa.Column("matched_by", sa.Text(), nullable=False, server_default=""))
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
