"""Jobs that are bound to an ensemble, items that count how often they were begun, and a say on who needs no key."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add columns and a table. Jobs of before are bound when they are next worked on."""
    op.add_column("jobs", sa.Column("ensemble", sa.Text(), nullable=True))
    op.add_column("jobs", sa.Column("ensemble_hash", sa.Text(), nullable=True))
    op.add_column("jobs", sa.Column("proxies", sa.JSON(), nullable=True))
    op.execute("UPDATE items SET attempts = 0 WHERE state IN ('waiting', 'running')")  # these were claims
    op.create_table(
        "access",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("anonymous", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.execute("INSERT INTO access (id, anonymous) SELECT 1, false WHERE EXISTS (SELECT 1 FROM api_keys)")
