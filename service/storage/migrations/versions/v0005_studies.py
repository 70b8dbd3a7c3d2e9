"""Studies, their observations, and suggestions with their reservations."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Add four tables."""
    op.create_table(
        "studies",
        sa.Column("number", NUMBER, nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("definition", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("total", sa.BigInteger(), nullable=False),
        sa.Column("last_position", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("number"),
        sa.UniqueConstraint("id"),
        sa.UniqueConstraint("owner", "name", name="study_name"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "observations",
        sa.Column("study", NUMBER, nullable=False),
        sa.Column("position", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("value", sa.Double(), nullable=True),
        sa.Column("document", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["study"], ["studies.number"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("study", "position"),
        sa.UniqueConstraint("study", "id", name="observed"),
    )
    op.create_index("observations_fingerprint", "observations", ["study", "fingerprint"])
    op.create_table(
        "reservations",
        sa.Column("study", NUMBER, nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("architecture", sa.JSON(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["study"], ["studies.number"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("study", "fingerprint"),
    )
    op.create_table(
        "suggestions",
        sa.Column("study", NUMBER, nullable=False),
        sa.Column("idempotency_key", sa.Text(), nullable=False),
        sa.Column("body_hash", sa.Text(), nullable=False),
        sa.Column("architectures", sa.JSON(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["study"], ["studies.number"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("study", "idempotency_key"),
    )
