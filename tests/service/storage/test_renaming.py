"""Migration 0004 to the standard names loses nothing."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from models import get_space
from proxies import Score
from service.api.job_schemas import JobCounts
from service.api.schemas import EstimatedItem, ScoredItem
from service.storage import Basis, NewItem, RequeueResult, Store
from service.storage.migrations.versions.v0004_standard_names import PAGE_SIZE, result
from service.storage.score_key import ScoreKey
from tests.service.storage.conftest import finish, get_items
from tests.service.storage.test_opening import create_earlier

OLD_SPACE = '{"name": "gcn-nas", "num_classes": 60, "persons": 2, "skeleton": "ntu"}'
SPACE = json.dumps({"name": "gcn-nas", **get_space("gcn-nas").settings}, sort_keys=True)
SCORES = {
    "zen": {"value": 1.5, "log": None, "status": "ok", "seconds": 0.25, "error": None, "note": None, "per_layer": 0.1},
    "nwot": {"value": None, "log": None, "status": "failed", "seconds": 0.0, "error": "no", "note": "x"},
}
SCORED = {
    "architecture": {"space": "gcn-nas", "layers": [["S"]]},
    "fingerprint": "f" * 32,
    "scores": SCORES,
    "cached": False,
    "warnings": ["é"],
}
ESTIMATE = {"accuracy": 0.93125, "interval": {"low": 0.92, "high": 0.94}, "percentile": 42.0}
ESTIMATED = SCORED | {
    **ESTIMATE,
    "ensemble": "gcn-nas-ntu",
    "ensemble_hash": "0" * 64,
    "combiner": "blend",
    "combiners": {"blend": ESTIMATE, "ridge": None},
    "stretch": 1.25,
    "explanation": {"combiner": "blend", "base": 0.9, "reasons": [{"part": "layers[0] (S)", "points": -1.5}]},
    "edits": [{"edit": {"layer": 0, "module": "T", "action": "add"}, "accuracy": 0.94, "points": 0.5}],
}
PLAIN = ESTIMATED | {"explanation": None, "edits": None}
NEW_SCORES = {
    "zen": {"value": 1.5, "log": None, "status": "ok", "seconds": 0.25, "error": None, "note": None},
    "nwot": SCORES["nwot"],
}
NEW_ESTIMATE = {"accuracy": 0.93125, "interval": {"low": 0.92, "high": 0.94, "level": 0.9}, "percentile": 0.42}
NEW_PLAIN = (SCORED | {"scores": NEW_SCORES}) | {
    **NEW_ESTIMATE,
    "ensemble": "gcn-nas-ntu",
    "ensemble_hash": "0" * 64,
    "combiner": "blend",
    "combiners": {"blend": NEW_ESTIMATE, "ridge": None},
    "interval_scale": 1.25,
    "explanation": None,
    "suggested_mutations": None,
}
NEW_ESTIMATED = NEW_PLAIN | {
    "explanation": {
        "combiner": "blend",
        "base_value": 0.9,
        "attributions": [{"feature_group": "layers[0] (S)", "contribution": -0.015}],
    },
    "suggested_mutations": [
        {"mutation": {"layer": 0, "module": "T", "action": "add"}, "accuracy": 0.94, "accuracy_gain": 0.005}
    ],
}
ERROR = {"title": "Unprocessable Content", "status": 422, "detail": "waiting"}
NAMED = {"layers": [["waiting"]]}
BODY_HASH = "a hash of the old names"
ROWS = (
    "INSERT INTO jobs (number, id, owner, kind, options, ensemble, ensemble_hash, proxies, idempotency_key, body_hash, "
    "state, created, started, total, waiting, running, done, failed, cached, events) VALUES (1, 'j1', 'k1', 'predict', "
    """'{"explain": true}', 'gcn-nas-ntu', '00', '{"zen": "1"}', 'key', '"""
    f"{BODY_HASH}', 'running', '2030-01-01', '2030-01-02', 5, 1, 1, 2, 1, 1, 3)",
    "INSERT INTO jobs (number, id, owner, kind, options, state, error, created, started, finished, total, waiting, "
    "running, done, failed, cached, events) VALUES (2, 'j2', 'k1', 'score', '{}', 'failed', "
    f"'{json.dumps(ERROR)}', '2030-01-01', '2030-01-02', '2030-01-03', 1, 0, 0, 1, 0, 0, 0)",
    "INSERT INTO owners (owner, turn) VALUES ('k1', 7)",
    "INSERT INTO workers (name, beat) VALUES ('s1', 3)",
    "INSERT INTO api_keys (id, prefix, name, hash, scopes, limits, created, revoked) VALUES ('0123456789ab', 'ark_1', "
    f"""'lab', 'sha256:{"0" * 64}', '["predict"]', '{{"rate": 60, "jobs": 2, "share": 0.5}}', '2030-01-01', """
    "'2030-01-02')",
    "INSERT INTO contexts (id, space, batch, seed, draws, device, dtype) "
    f"VALUES (1, '{OLD_SPACE}', 'b', 0, 3, 'cpu', 'float32')",
    "INSERT INTO scores (id, context, architecture, scores, used, turn) VALUES (1, 1, 'a', "
    """'{"zen/1": [1.5, null, 0.25, "chunked", 0.1], "synflow/2": [null, 1e22, 0.5, null, 3]}', '2030-01-01', 4)""",
)


def item(position: int, state: str, completion: int | None = None, job: int = 1, **fields: Any) -> str:
    columns = {"job": job, "position": position, "state": state, "attempts": 0, "cached": False} | fields
    if completion is not None:
        columns["completion"] = completion
    if state == "running":
        columns |= {"worker": "s1", "lease": 7}
    columns["architecture"] = NAMED
    values = (json.dumps(value) if isinstance(value, dict) else value for value in columns.values())
    literals = (f"'{value}'" if isinstance(value, str) else str(value) for value in values)
    return f"INSERT INTO items ({', '.join(columns)}) VALUES ({', '.join(literals)})"


ITEMS = (
    item(0, "done", 1, result=ESTIMATED),
    item(1, "done", 2, result=PLAIN, cached=True),
    item(2, "failed", 3, error=ERROR),
    item(3, "running"),
    item(4, "waiting"),
    item(0, "done", 1, job=2, result=SCORED),
)


def event(number: int, kind: str, data: dict[str, Any]) -> str:
    values = f"1, {number}, '{kind}', '{json.dumps(data)}', '2030-01-01'"
    return f"INSERT INTO events (job, id, kind, data, at) VALUES ({values})"


EVENTS = (
    event(1, "created", {"total": 5, "waiting": 5, "running": 0, "done": 0, "failed": 0, "cached": 0}),
    event(2, "started", {"total": 5, "waiting": 4, "running": 1, "done": 0, "failed": 0, "cached": 0}),
    event(3, "item", {"position": 0, "state": "done", "completion": 1}),
)


@pytest.fixture
def store(empty_url: str) -> Any:
    create_earlier(empty_url, *ROWS, *ITEMS, *EVENTS, revision="0003")
    with Store.open(empty_url) as store:
        yield store


def with_absent_fields(document: dict[str, Any]) -> dict[str, Any]:
    """Add the fields that the documents of that version did not have, as null."""
    mutations = document["suggested_mutations"]
    absent = None if mutations is None else [{**mutation, "architecture": None} for mutation in mutations]
    return {**document, "stratum": None, "ranking_score": None, "suggested_mutations": absent}


def test_documents_have_the_names_of_the_schemas() -> None:
    assert result(ESTIMATED) == NEW_ESTIMATED
    assert result(PLAIN) == NEW_PLAIN
    assert result(SCORED) == SCORED | {"scores": NEW_SCORES}
    for document in (ESTIMATED, PLAIN):
        read = EstimatedItem.model_validate(result(document)).model_dump(mode="json")
        assert read == with_absent_fields(result(document))
    assert ScoredItem.model_validate(result(SCORED)).model_dump(mode="json") == result(SCORED)


def test_jobs_keep_everything(store: Store) -> None:
    first, second = reversed(store.jobs.list())
    assert (first.kind, first.options, first.owner, first.state) == ("predictions", {"explain": True}, "k1", "running")
    assert first.basis == Basis("gcn-nas-ntu", "00", {"zen": "1"})
    assert (first.total, first.queued, first.running, first.done, first.failed, first.cached) == (5, 1, 1, 2, 1, 1)
    times = [datetime(2030, 1, day, tzinfo=UTC) for day in (1, 2, 3)]
    assert [first.created_at, first.started_at, first.finished_at] == [*times[:2], None]
    assert [second.created_at, second.started_at, second.finished_at] == times
    assert (second.kind, second.error) == ("scores", ERROR)
    items = get_items(store, "j1")
    assert [row.state for row in items] == ["done", "done", "failed", "running", "queued"]
    assert [(row.result, row.error) for row in items[:3]] == [(NEW_ESTIMATED, None), (NEW_PLAIN, None), (None, ERROR)]
    assert all(row.architecture == NAMED for row in items)
    (scored,) = store.jobs.results("j2").items
    assert scored.result == SCORED | {"scores": NEW_SCORES}
    events = store.jobs.events("j1")
    assert [(row.id, row.kind) for row in events] == [(1, "created"), (2, "started"), (3, "item")]
    assert set(events[0].data) == set(JobCounts.model_fields)
    assert (events[1].data["queued"], events[1].data["running"]) == (4, 1)
    assert events[2].data == {"position": 0, "state": "done", "completion": 1}


def test_jobs_go_on(store: Store) -> None:
    assert store.queue.requeue_lost(9, ERROR) == RequeueResult(0, 0)  # its server is still there
    store.servers.remove("s1")
    assert store.queue.requeue_lost(9, ERROR) == RequeueResult(1, 0)
    claims = store.queue.claim(9, "s2")
    assert [(claim.position, claim.lease) for claim in claims] == [(3, 8), (4, 8)]  # owners were served 7 times before
    for claim in claims:
        finish(store, claim, NEW_PLAIN)
    assert store.jobs.get("j1").state == "done"


def test_idempotency_keys_still_name_the_same_request(store: Store) -> None:
    items = [NewItem(NAMED, None)] * 5
    job, new = store.jobs.create("predictions", {"explain": True}, items, "k1", "key")
    assert (job.id, new) == ("j1", False)


def test_scores_and_keys_are_kept(store: Store) -> None:
    zen = ScoreKey(SPACE, "a", "b", 0, 3, "zen", "1", "cpu", "float32")
    synflow = zen._replace(proxy="synflow", version="2")
    assert store.scores.get([zen, synflow]) == {
        zen: Score(1.5, None, "ok", 0.25, note="chunked"),
        synflow: Score(None, 1e22, "ok", 0.5),
    }
    (key,) = store.keys.list()
    assert (key.created_at, key.revoked_at) == tuple(datetime(2030, 1, day, tzinfo=UTC) for day in (1, 2))
    assert key.limits == {"rate_limit": 60, "max_active_jobs": 2, "queue_share": 0.5}


def test_more_rows_than_a_page(empty_url: str) -> None:
    number = PAGE_SIZE + 1
    job = ROWS[1].replace("1, 0, 0, 1, 0, 0, 0)", f"{number}, 0, 0, {number}, 0, 0, 0)")
    items = [item(position, "done", position + 1, job=2, result=SCORED) for position in range(number)]
    create_earlier(empty_url, job, *items, revision="0003")
    with Store.open(empty_url) as store:
        results = store.jobs.results("j2", limit=number).items
    assert len(results) == number
    assert all(row.result == SCORED | {"scores": NEW_SCORES} for row in results)
