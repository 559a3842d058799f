"""What the field brought: nothing yet."""

from __future__ import annotations

revision = "r0005"
down_revision = "r0004"


def upgrade() -> None:
    """Change nothing."""
