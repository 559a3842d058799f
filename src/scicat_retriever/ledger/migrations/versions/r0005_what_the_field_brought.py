"""What the field brought: remarks on datasets."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "r0005"
down_revision = "r0004"


def upgrade() -> None:
    """Add a table for each of them."""
    op.create_table(
        "remarks",
        sa.Column("pid", sa.Text(), nullable=False),
        sa.Column("remark", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("pid", name="pk_remarks"),
    )
