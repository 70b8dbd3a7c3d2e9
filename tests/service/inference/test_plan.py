"""Queries are resolved by their search space."""

from dataclasses import replace
from typing import Any

import pytest
import torch

from models import InputError, get_space
from service.app import make_backend
from service.inference.plan import Plan, with_space
from service.inference.queries import PredictionQuery, Query, ScoreQuery
from service.inference.registry import EnsembleRegistry, LoadedEnsemble
from service.inference.scorer import make_task
from service.inference.scoring_context import ScoringContexts
from service.settings import Settings
from service.workers.task_scorer import TaskScorer
from tests.service.conftest import shipped_ensembles

CPU = torch.device("cpu")
IMAGES = "nas-bench-201"
ARCHITECTURE = {"ops": ["none", "skip_connect", "none", "nor_conv_1x1", "none", "none"]}


@pytest.fixture(scope="module")
def registry() -> EnsembleRegistry:
    """Ensembles of two spaces, one of them for two data sets. What they predict is of no importance."""
    ensembles = shipped_ensembles()
    contexts = ScoringContexts(CPU)

    def of_data(name: str, dataset: str) -> LoadedEnsemble:
        return replace(ensembles.get(), name=name, context=contexts.get(get_space(IMAGES, dataset=dataset)))

    others = {"a-100": of_data("a-100", "cifar100"), "b-10": of_data("b-10", "cifar10")}
    return replace(ensembles, ensembles={**others, "gcn-nas-ntu": ensembles.get()})


@pytest.mark.parametrize(
    ("query", "name"),
    [
        (PredictionQuery(), "gcn-nas-ntu"),
        (PredictionQuery(space="gcn-nas"), "gcn-nas-ntu"),
        (PredictionQuery(space=IMAGES), "b-10"),  # the space's default settings
        (PredictionQuery(space=IMAGES, settings={"dataset": "cifar100"}), "a-100"),
        (PredictionQuery(ensemble="a-100"), "a-100"),
        (PredictionQuery(ensemble="a-100", settings={"dataset": "cifar100"}), "a-100"),
    ],
)
def test_ensemble_of_a_prediction(query: PredictionQuery, name: str, registry: EnsembleRegistry) -> None:
    plan = Plan.from_query(replace(query, proxies=[]), registry)
    assert plan.ensemble is registry.ensembles[name]
    assert plan.basis.ensemble == name
    assert Plan.from_basis(plan.query, plan.basis, registry).context == plan.context


@pytest.mark.parametrize(
    ("query", "message"),
    [
        (PredictionQuery(space="nas-bench-graph"), f"one with an ensemble: {IMAGES}, gcn-nas"),
        (PredictionQuery(space=IMAGES, settings={"dataset": "imagenet16-120"}), 'a-100: {"dataset": "cifar100"}'),
        (PredictionQuery(ensemble="a-100", settings={"dataset": "cifar10"}), 'a-100: {"dataset": "cifar100"}'),
        (PredictionQuery(ensemble="a-100", space="gcn-nas"), "the space of ensemble 'a-100'"),
        (PredictionQuery(space="darts"), "one of gcn-nas"),
        (ScoreQuery(space="darts"), "one of gcn-nas"),
        (ScoreQuery(space=IMAGES, settings={"dataset": "mnist"}), "dataset: got 'mnist'"),
        (ScoreQuery(space=IMAGES, batch={"frames": 8}), "frames"),
    ],
)
def test_queries_that_nothing_fits(query: Query, message: str, registry: EnsembleRegistry) -> None:
    with pytest.raises(InputError) as caught:
        Plan.from_query(query, registry)
    assert message in str(caught.value)


def test_space_of_the_architectures(registry: EnsembleRegistry) -> None:
    mixed = [1, {"space": 1}, {"space": "darts"}, {"space": "nas-bench-graph"}, {"space": IMAGES}]
    assert with_space(ScoreQuery(), mixed, registry).space == "nas-bench-graph"
    assert with_space(PredictionQuery(), mixed, registry).space == IMAGES  # it has an ensemble
    assert with_space(ScoreQuery(), [{}], registry).space is None
    assert with_space(ScoreQuery(space="gcn-nas"), mixed, registry).space == "gcn-nas"
    assert with_space(PredictionQuery(ensemble="a-100"), mixed, registry).space is None


def test_a_batch_is_made_once_and_scores_are_kept_apart(registry: EnsembleRegistry) -> None:
    settings = {"dataset": "imagenet16-120"}
    first, second = (Plan.from_query(ScoreQuery(space=IMAGES, settings=settings), registry) for _ in range(2))
    assert first.context is second.context
    assert first.basis.ensemble is None
    other = Plan.from_query(ScoreQuery(space=IMAGES, settings={"dataset": "cifar10"}), registry)
    architecture = other.context.space.parse(ARCHITECTURE)
    keys = [plan.context.score_keys(architecture, {"params": "1"})["params"] for plan in (first, other)]
    assert keys[0] != keys[1]


@pytest.mark.parametrize("is_changed", [False, True])
def test_workers_make_batches_that_no_ensemble_has(is_changed: bool, registry: EnsembleRegistry) -> None:
    plan = Plan.from_query(ScoreQuery(space=IMAGES, settings={"dataset": "imagenet16-120"}), registry)
    task = make_task(plan.context.space.parse(ARCHITECTURE), plan.context, ["params"])
    changes: dict[str, Any] = {"probe_batch": "0" * 32} if is_changed else {}
    outcome = TaskScorer({}, CPU)(replace(task, **changes))
    if is_changed:  # recorded data differ from those of the server
        assert outcome.failure is not None
        assert "that of the server" in outcome.failure.detail
    else:
        assert outcome.scores is not None
        assert outcome.scores["params"]["status"] == "ok"


def test_backends_are_sent_the_batches_of_ensembles(registry: EnsembleRegistry) -> None:
    backend = make_backend(Settings(device="cpu", backend="inline"), registry)
    batch = registry.get().ensemble.batch
    assert batch is not None
    assert list(backend._scorer._batches) == [batch.fingerprint]  # type: ignore[attr-defined]
    backend.stop()
