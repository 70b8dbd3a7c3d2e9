"""Studies in the store, on both databases."""

import random
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from common.errors import InputError
from service.storage import (
    IdempotencyError,
    NewObservation,
    NotFoundError,
    Store,
    StoredStudy,
    StudyExistsError,
    SuggestionKey,
)
from service.storage.studies import CHUNK_SIZE, NUM_BEST
from service.storage.tables import Base
from tests.service.storage.conftest import Clock
from tests.service.storage.test_opening import EARLIER, create_earlier

DAY = timedelta(days=1)
DEFINITION: dict[str, Any] = {"name": "s", "space": "x", "settings": {}, "sources": ["a"]}


def observation(i: int, value: float | None = 0.5, fingerprint: str | None = None) -> NewObservation:
    fingerprint = f"f{i}" if fingerprint is None else fingerprint
    document = {"architecture": {"name": fingerprint}, "value": value}
    return NewObservation(f"{i:032x}", fingerprint, value, document)


def observations(n: int, first: int = 0) -> list[NewObservation]:
    return [observation(i, i / 10_000) for i in range(first, first + n)]


@pytest.fixture
def study(store: Store) -> StoredStudy:
    return store.studies.create("me", DEFINITION)[0]


def ids(store: Store, study: StoredStudy, **page: Any) -> list[str]:
    return [row.id for row in store.studies.observations(study.id, **page)[1]]


def test_a_study_of_the_same_definition_is_opened(store: Store, clock: Clock) -> None:
    created, is_new = store.studies.create("me", DEFINITION, observations(2))
    assert is_new
    assert (created.total, created.revision, created.last_position) == (2, 1, 2)
    assert created.definition == DEFINITION
    clock.jump(hours=1)
    opened, is_new = store.studies.create("me", DEFINITION, observations(2, first=1))
    assert not is_new
    assert (opened.id, opened.total, opened.revision) == (created.id, 3, 2)
    assert opened.updated_at - opened.created_at == timedelta(hours=1)
    assert store.studies.get(created.id) == opened


def test_another_definition_is_refused(store: Store, study: StoredStudy) -> None:
    with pytest.raises(StudyExistsError, match="space: got 'y'") as caught:
        store.studies.create("me", {**DEFINITION, "space": "y"}, observations(2))
    assert caught.value.field == "space"
    assert store.studies.get(study.id).total == 0


def test_studies_of_an_owner(store: Store, study: StoredStudy) -> None:
    other, is_new = store.studies.create("you", DEFINITION)
    second, _ = store.studies.create("me", {**DEFINITION, "name": "t"})
    assert is_new
    assert store.studies.list() == [second, other, study]
    assert store.studies.list("me") == [second, study]
    assert store.studies.list("me", "s") == [study]
    assert store.studies.list("me", limit=1) == [second]
    assert store.studies.get(study.id, "me") == study
    with pytest.raises(NotFoundError):
        store.studies.get(study.id, "you")


def test_maximum_of_studies(store: Store, study: StoredStudy) -> None:
    with pytest.raises(InputError, match=r"studies \(number\): got 2; allowed: at most 1"):
        store.studies.create("me", {**DEFINITION, "name": "t"}, max_studies=1)
    assert store.studies.list("me") == [study]
    assert not store.studies.create("me", DEFINITION, max_studies=1)[1]
    assert store.studies.create("you", DEFINITION, max_studies=1)[1]


def test_repeated_observations_are_added_once(store: Store, study: StoredStudy) -> None:
    changed, added = store.studies.observe(study.id, [*observations(3), *observations(2)])
    assert (added, changed.total, changed.revision) == (3, 3, 1)
    same, added = store.studies.observe(study.id, observations(3))
    assert added == 0
    assert same == changed
    assert ids(store, study) == [each.id for each in observations(3)]


def test_more_observations_than_a_statement_has_parameters(store: Store, study: StoredStudy) -> None:
    many = observations(3 * CHUNK_SIZE + 1)
    assert store.studies.observe(study.id, many)[1] == len(many)
    assert store.studies.observe(study.id, [*many, observation(len(many))])[1] == 1
    assert store.studies.get(study.id).total == len(many) + 1


def test_maximum_of_observations(store: Store, study: StoredStudy) -> None:
    store.studies.observe(study.id, observations(2))
    with pytest.raises(InputError, match=r"observations \(number\): got 5; allowed: at most 4"):
        store.studies.observe(study.id, observations(5), max_observations=4)
    assert ids(store, study) == [each.id for each in observations(2)]
    with pytest.raises(InputError):
        store.studies.create("me", {**DEFINITION, "name": "t"}, observations(5), max_observations=4)
    assert not store.studies.list("me", "t")


def test_workers_observe_at_once(store: Store, study: StoredStudy) -> None:
    """Every observation has a position of its own, and the counters agree with the rows."""
    batches = [observations(10, first) for first in range(0, 100, 5)]
    random.Random(0).shuffle(batches)
    with ThreadPoolExecutor(4) as pool:
        added = sum(result[1] for result in pool.map(lambda batch: store.studies.observe(study.id, batch), batches))
    found, rows = store.studies.observations(study.id)
    assert added == len(rows) == found.total == 105
    assert [row.position for row in rows] == list(range(1, 106))
    assert sorted(row.id for row in rows) == [each.id for each in observations(105)]


def test_workers_create_at_once(store: Store) -> None:
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda i: store.studies.create("me", DEFINITION, observations(2, i)), range(8)))
    assert len({study.id for study, _ in results}) == 1
    assert [is_new for _, is_new in results].count(True) == 1
    assert store.studies.get(results[0][0].id).total == 9


def test_pages(store: Store, study: StoredStudy) -> None:
    store.studies.observe(study.id, observations(5))
    _, first = store.studies.observations(study.id, limit=3)
    _, rest = store.studies.observations(study.id, after=first[-1].position, limit=3)
    assert [*first, *rest] == store.studies.observations(study.id)[1]
    assert [row.document for row in first] == [each.document for each in observations(3)]
    assert store.studies.count_after(study.id, 3) == 2


def test_values_are_stored_exactly(store: Store, study: StoredStudy) -> None:
    values = [0.1 + 0.2, 1e-300, 1 / 3, 0.9312345678901234, None]
    store.studies.observe(study.id, [observation(i, value) for i, value in enumerate(values)])
    rows = store.studies.observations(study.id)[1]
    assert [row.value for row in rows] == [row.document["value"] for row in rows] == values


def test_a_removed_observation_can_be_added_again(store: Store, study: StoredStudy) -> None:
    store.studies.observe(study.id, observations(2))
    changed = store.studies.remove(study.id, observation(1).id)
    assert (changed.total, changed.revision) == (1, 2)
    with pytest.raises(NotFoundError):
        store.studies.remove(study.id, observation(1).id)
    assert store.studies.observe(study.id, [observation(1)])[1] == 1
    assert [row.position for row in store.studies.observations(study.id)[1]] == [1, 3]


@pytest.mark.parametrize("maximize", [True, False])
def test_summary(store: Store, study: StoredStudy, maximize: bool) -> None:
    failed = observation(100, None, "f3"), observation(101, None, "never")
    repeated = observation(102, 0.9, "f0")
    store.studies.observe(study.id, [*observations(20), *failed, repeated])
    summary = store.studies.summarize(study.id, maximize)
    assert (summary.total, summary.trained, summary.failed, summary.architectures) == (23, 20, 1, 21)
    means = {f"f{i}": i / 10_000 for i in range(1, 20)} | {"f0": 0.45}
    best = sorted(means, key=lambda name: means[name], reverse=maximize)[:NUM_BEST]
    assert [(document["name"], value) for document, value in summary.best] == [(name, means[name]) for name in best]


def test_summary_counts_running_trainings_until_they_end(store: Store, study: StoredStudy) -> None:
    def running(i: int, fingerprint: str, curve: list[float]) -> NewObservation:
        document = {"architecture": {"name": fingerprint}, "value": None, "curve": curve}
        return NewObservation(f"{i:032x}", fingerprint, None, document)

    def counts() -> tuple[int, ...]:
        summary = store.studies.summarize(study.id, True)
        return summary.total, summary.trained, summary.failed, summary.running, summary.architectures

    rows = [running(i, f"f{i % 3}", [0.5] * (1 + i // 3)) for i in range(6)]
    store.studies.observe(study.id, [*rows, running(6, "f3", [])])
    assert counts() == (7, 0, 1, 3, 4), "without a curve, a training without value has failed"
    failed = {"architecture": {"name": "f1"}, "value": None, "error": "diverged", "curve": [0.5]}
    store.studies.observe(study.id, [observation(10, 0.5, "f0"), NewObservation(f"{11:032x}", "f1", None, failed)])
    assert counts() == (9, 1, 2, 1, 4)


def test_summary_without_observations(store: Store, study: StoredStudy) -> None:
    summary = store.studies.summarize(study.id, True)
    assert (summary.total, summary.trained, summary.failed, summary.architectures) == (0, 0, 0, 0)
    assert not summary.best


def test_reservations(store: Store, study: StoredStudy, clock: Clock) -> None:
    store.studies.observe(study.id, [observation(0)])
    architectures = {f"f{i}": {"name": f"f{i}"} for i in (2, 0, 1)}
    assert store.studies.reserve(study.id, architectures, DAY) is None
    assert store.studies.reserve(study.id, architectures, DAY, partly=True) == [{"name": "f2"}, {"name": "f1"}]
    assert store.studies.reserve(study.id, architectures, DAY, partly=True) == []
    store.studies.observe(study.id, [observation(1)])
    assert [document["name"] for document in store.studies.reserved(study.id)] == ["f2"]
    clock.jump(hours=23)
    assert store.studies.reserve(study.id, architectures, DAY, partly=True) == []
    clock.jump(hours=1)
    assert not store.studies.reserved(study.id)
    assert store.studies.reserve(study.id, {"f2": {"name": "f2"}}, DAY) == [{"name": "f2"}]


def test_a_repeated_request_reserves_nothing(store: Store, study: StoredStudy, clock: Clock) -> None:
    key = SuggestionKey("k", "body")
    first = {"f2": {"name": "f2"}, "f1": {"name": "f1"}}
    second: dict[str, dict[str, Any]] = {"f3": {}}
    assert store.studies.suggested(study.id, key) is None
    reserved = store.studies.reserve(study.id, first, DAY, key)
    assert reserved == list(first.values())
    store.studies.observe(study.id, [observation(1)])
    assert store.studies.reserve(study.id, second, DAY, key) == reserved == store.studies.suggested(study.id, key)
    assert store.studies.reserved(study.id) == [{"name": "f2"}]
    with pytest.raises(IdempotencyError, match="Idempotency-Key: got 'k'"):
        store.studies.reserve(study.id, second, DAY, SuggestionKey("k", "another body"))
    with pytest.raises(IdempotencyError, match="Idempotency-Key: got 'k'"):
        store.studies.suggested(study.id, SuggestionKey("k", "another body"))
    other, _ = store.studies.create("me", {**DEFINITION, "name": "t"})
    assert store.studies.suggested(other.id, key) is None
    assert store.studies.reserve(other.id, second, DAY, SuggestionKey("k", "another body")) == [{}]
    clock.jump(hours=24)
    assert store.studies.suggested(study.id, key) is None
    assert store.studies.reserve(study.id, second, DAY, SuggestionKey("k", "another body")) == [{}]


def test_a_request_without_suggestions_is_repeated(store: Store, study: StoredStudy) -> None:
    key = SuggestionKey("k", "body")
    assert store.studies.reserve(study.id, {}, DAY, key) == []
    assert store.studies.reserve(study.id, {"f1": {}}, DAY, key) == []


def test_a_refused_reservation_does_not_take_the_key(store: Store, study: StoredStudy) -> None:
    key = SuggestionKey("k", "body")
    store.studies.observe(study.id, [observation(1)])
    assert store.studies.reserve(study.id, {"f1": {}, "f2": {}}, DAY, key) is None
    assert store.studies.reserve(study.id, {"f2": {}}, DAY, key) == [{}]


def test_attempts_at_once_reserve_once(store: Store, study: StoredStudy) -> None:
    def reserve(i: int) -> Sequence[Any] | None:
        return store.studies.reserve(study.id, {f"f{i}": {"name": i}}, DAY, SuggestionKey("k", "body"))

    with ThreadPoolExecutor(4) as pool:
        reserved = list(pool.map(reserve, range(12)))
    assert reserved == [store.studies.reserved(study.id)] * 12
    assert len(store.studies.reserved(study.id)) == 1


def test_workers_never_reserve_the_same(store: Store, study: StoredStudy) -> None:
    def reserve(first: int) -> list[Any]:
        architectures: dict[str, Any] = {f"f{i}": {"name": i} for i in range(first, first + 10)}
        return [document["name"] for document in store.studies.reserve(study.id, architectures, DAY, partly=True) or ()]

    with ThreadPoolExecutor(4) as pool:
        reserved = list(pool.map(reserve, range(0, 40, 2)))
    assert len(set().union(*reserved)) == sum(map(len, reserved)) == 48


def test_a_deleted_study(store: Store, study: StoredStudy) -> None:
    kept, _ = store.studies.create("me", {**DEFINITION, "name": "t"}, observations(2))
    store.studies.observe(study.id, observations(2))
    store.studies.reserve(study.id, {"f9": {}}, DAY, SuggestionKey("k", "body"))
    assert store.studies.counts() == (2, 4)
    store.studies.delete(study.id)
    store.studies.delete(study.id)
    assert store.studies.counts() == (1, 2)
    for call in (
        lambda: store.studies.get(study.id),
        lambda: store.studies.observe(study.id, observations(1)),
        lambda: store.studies.observations(study.id),
        lambda: store.studies.summarize(study.id, True),
        lambda: store.studies.reserve(study.id, {"f9": {}}, DAY),
        lambda: store.studies.reserved(study.id),
        lambda: store.studies.suggested(study.id, SuggestionKey("k", "body")),
        lambda: store.studies.remove(study.id, observation(0).id),
    ):
        with pytest.raises(NotFoundError):
            call()
    assert ids(store, kept) == [each.id for each in observations(2)]
    assert store.studies.create("me", DEFINITION)[0].total == 0


def test_no_studies(store: Store) -> None:
    assert store.studies.counts() == (0, 0)
    assert store.studies.list() == []


def test_a_store_of_the_previous_schema_gets_studies(empty_url: str) -> None:
    """Migration 0005 keeps the jobs."""
    create_earlier(empty_url, *EARLIER)
    with Store.open(empty_url) as store:
        study, _ = store.studies.create("me", DEFINITION, observations(3))
        assert store.studies.get(study.id).total == 3
        assert store.jobs.get("j1").total == 3
        with store._db.read() as conn:
            assert compare_metadata(MigrationContext.configure(conn), Base.metadata) == []
