"""Random draws are called repeats, and a score no longer has a share by layer."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Rename the column, and drop the fifth entry of every packed score."""
    op.execute("ALTER TABLE contexts RENAME COLUMN draws TO repeats")
    if op.get_bind().dialect.name == "postgresql":
        scores = "SELECT jsonb_object_agg(key, value - 4) FROM jsonb_each(scores.scores)"
    else:
        scores = "SELECT json_group_object(key, json_remove(value, '$[4]')) FROM json_each(scores.scores)"
    op.execute(sa.text(f"UPDATE scores SET scores = ({scores})"))
