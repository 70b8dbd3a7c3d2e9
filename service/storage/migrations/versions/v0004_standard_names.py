"""Standard names of tables, columns, states and the fields of stored JSON documents."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

PAGE_SIZE = 1000
QUEUED = sa.text("state = 'queued'")
COLUMNS = {
    "api_keys": {"created": "created_at", "revoked": "revoked_at"},
    "contexts": {"batch": "probe_batch", "draws": "repeats"},
    "events": {"at": "created_at"},
    "items": {"worker": "server"},
    "jobs": {"created": "created_at", "started": "started_at", "finished": "finished_at", "waiting": "queued"},
    "owners": {"turn": "last_served"},
    "scores": {"used": "last_used_at", "turn": "use_order"},
    "servers": {"beat": "heartbeats"},
}
KINDS = {"predict": "predictions", "score": "scores"}
LIMITS = {"rate": "rate_limit", "jobs": "max_active_jobs", "share": "queue_share"}
COUNTS = {"waiting": "queued"}
INTERVAL_LEVEL = 0.9
OLD_ARTIFACT = "6559129ee74371b6d0d1db3cfd0745cf52ae072a3efae861ab39be07f6e2f3a3"
NEW_ARTIFACT = "b3ff984d4e2fdaa09bb671c3d6fd2a874659b10422ac8319d6fa54c2b2700a40"
"""SHA-256 of the shipped artifact in format 3 and in format 4."""


def upgrade() -> None:
    """Rename, and rewrite the documents. Scores and their contexts keep their values."""
    conn = op.get_bind()
    op.rename_table("workers", "servers")
    for table, columns in COLUMNS.items():
        for old, new in columns.items():
            op.execute(f"ALTER TABLE {table} RENAME COLUMN {old} TO {new}")
    op.execute("""UPDATE contexts SET space = replace(space, '"persons":', '"num_persons":')""")
    # The shipped artifact makes the same predictions in its new format: its unfinished jobs continue.
    op.execute(
        f"UPDATE jobs SET ensemble_hash = '{NEW_ARTIFACT}' "
        f"WHERE ensemble_hash = '{OLD_ARTIFACT}' AND state IN ('queued', 'running')"
    )
    for index in ("items_waiting", "ix_api_keys_prefix", "scores_turn", "scores_used"):
        op.drop_index(index)
    op.drop_column("api_keys", "prefix")  # never read
    op.execute("UPDATE items SET state = 'queued' WHERE state = 'waiting'")
    for old, new in KINDS.items():
        op.execute(f"UPDATE jobs SET kind = '{new}' WHERE kind = '{old}'")
    _rewrite_documents(conn)
    _rewrite_body_hashes(conn)
    _drop_scores_by_layer(conn)
    op.create_index("items_queued", "items", ["job", "position"], sqlite_where=QUEUED, postgresql_where=QUEUED)
    op.create_index("scores_use_order", "scores", ["use_order"])
    op.create_index("scores_last_used_at", "scores", ["last_used_at"])


def result(document: Mapping[str, Any]) -> dict[str, Any]:
    """Convert the result of an item: names, percentages and percentage points to fractions."""
    new = dict(document)
    new["scores"] = {
        proxy: {name: value for name, value in score.items() if name != "per_layer"}
        for proxy, score in document["scores"].items()
    }
    if "accuracy" not in document:
        return new
    new |= _estimate(document)
    new["combiners"] = {name: one and dict(one) | _estimate(one) for name, one in document["combiners"].items()}
    explanation, edits = new.pop("explanation"), new.pop("edits")
    new["interval_scale"] = new.pop("stretch")
    new["explanation"] = explanation and {
        "combiner": explanation["combiner"],
        "base_value": explanation["base"],
        "attributions": [
            {"feature_group": reason["part"], "contribution": reason["points"] / 100}
            for reason in explanation["reasons"]
        ],
    }
    new["suggested_mutations"] = edits and [
        {"mutation": edit["edit"], "accuracy": edit["accuracy"], "accuracy_gain": edit["points"] / 100}
        for edit in edits
    ]
    return new


def _estimate(document: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "interval": {**document["interval"], "level": INTERVAL_LEVEL},
        "percentile": document["percentile"] / 100,
    }


def _renamed(document: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    return {names.get(name, name): value for name, value in document.items()}


def _rewrite_documents(conn: sa.Connection) -> None:
    items = sa.table("items", sa.column("job"), sa.column("position"), sa.column("result", sa.JSON()))
    for row in _rows(conn, items, items.c.result.is_not(None)):
        _update(conn, items, row, result=result(row.result))
    events = sa.table(
        "events", sa.column("job"), sa.column("id"), sa.column("kind", sa.Text()), sa.column("data", sa.JSON())
    )
    for row in _rows(conn, events, events.c.kind != "item"):
        _update(conn, events, row, data=_renamed(row.data, COUNTS))
    keys = sa.table("api_keys", sa.column("number"), sa.column("id"), sa.column("limits", sa.JSON()))
    for row in _rows(conn, keys):
        _update(conn, keys, row, limits=_renamed(row.limits, LIMITS))


def _rewrite_body_hashes(conn: sa.Connection) -> None:
    """Hash the requests of idempotent jobs again, since the kind is part of them."""
    jobs = sa.table(
        "jobs",
        sa.column("number"),
        sa.column("id"),
        sa.column("kind"),
        sa.column("options", sa.JSON()),
        sa.column("body_hash"),
    )
    items = sa.table("items", sa.column("job"), sa.column("position"), sa.column("architecture", sa.JSON()))
    for row in _rows(conn, jobs, jobs.c.body_hash.is_not(None)):
        architectures = [item.architecture for item in _rows(conn, items, items.c.job == row.number)]
        body = [row.kind, row.options, architectures]
        text = json.dumps(body, allow_nan=False, separators=(",", ":"), sort_keys=True)
        _update(conn, jobs, row, body_hash=hashlib.sha256(text.encode()).hexdigest())


def _drop_scores_by_layer(conn: sa.Connection) -> None:
    """Drop the fifth entry of every score."""
    if conn.dialect.name == "postgresql":
        scores = "SELECT jsonb_object_agg(key, value - 4) FROM jsonb_each(scores.scores)"
    else:
        scores = "SELECT json_group_object(key, json_remove(value, '$[4]')) FROM json_each(scores.scores)"
    op.execute(f"UPDATE scores SET scores = ({scores})")


def _rows(conn: sa.Connection, table: sa.TableClause, *conditions: sa.ColumnElement[bool]) -> Iterator[sa.Row[Any]]:
    """Read the rows in pages, in the order of the first two columns, which identify a row."""
    first, second, *_ = table.c
    select = sa.select(table).where(*conditions).order_by(first, second).limit(PAGE_SIZE)
    rows = conn.execute(select).all()
    while rows:
        yield from rows
        after = sa.tuple_(first, second) > sa.tuple_(rows[-1][0], rows[-1][1])
        rows = conn.execute(select.where(after)).all()


def _update(conn: sa.Connection, table: sa.TableClause, row: sa.Row[Any], **values: Any) -> None:
    first, second, *_ = table.c
    conn.execute(table.update().where(first == row[0], second == row[1]).values(values))
