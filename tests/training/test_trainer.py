"""Training: its measurements, seeds, failures, and proxies that leave it unchanged."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from common.errors import InputError, UnknownNameError
from models import get_space
from models.gcn_nas import GcnNas
from models.gcn_nas.architecture import GcnNasArchitecture
from models.gcn_nas.network import GcnNasNetwork
from models.nas_bench_graph import NasBenchGraph
from proxies import score_batch
from tests.training.records import reproducible
from training import EpochRecord, Recipe, TrainingResult, train
from training.data import TrainingData
from training.data.graph import FullGraph
from training.trainer import reported_accuracy

GRAPH_RECIPE = Recipe(epochs=4, batch_size=None, learning_rate=0.1, momentum=0.0, nesterov=False, milestones=())
KEY = "88811"


@pytest.fixture(scope="module")
def result(kinect: GcnNas, architecture: GcnNasArchitecture, motion: TrainingData, recipe: Recipe) -> TrainingResult:
    return train(kinect, architecture, motion, recipe, 0)


def test_every_epoch_is_measured(result: TrainingResult, recipe: Recipe) -> None:
    assert [record.epoch for record in result.epochs] == [0, 1, 2]
    assert result.error is None
    assert result.accuracy == result.epochs[-1].accuracy
    for record in result.epochs:
        assert record.validation_loss > 0
        assert record.accuracy * 8 == pytest.approx(round(record.accuracy * 8))
        assert record.top5_accuracy is None  # three classes
        assert record.test_accuracy is None
        assert record.learning_rate == recipe.rate(record.epoch)
        assert record.gradient_norm > 0
        assert record.seconds > 0
    assert result.epochs[2].training_loss < result.epochs[0].training_loss


def test_seed_determines_the_training(
    kinect: GcnNas, architecture: GcnNasArchitecture, motion: TrainingData, recipe: Recipe, result: TrainingResult
) -> None:
    state = torch.get_rng_state()
    torch.rand(3)  # the global random state does not matter
    before = torch.get_rng_state()
    again = train(kinect, architecture, motion, recipe, 0)
    assert torch.equal(torch.get_rng_state(), before)
    torch.set_rng_state(state)
    other = train(kinect, architecture, motion, replace(recipe, epochs=1), 1)
    assert reproducible(again) == reproducible(result)
    assert other.epochs[0].training_loss != result.epochs[0].training_loss


def test_proxies_do_not_change_the_training(
    kinect: GcnNas, architecture: GcnNasArchitecture, motion: TrainingData, recipe: Recipe, result: TrainingResult
) -> None:
    probed = train(
        kinect, architecture, motion, recipe, 0, proxies=("synflow", "zen", "nwot"), probe_epochs=(0, 1, 3, 9)
    )
    assert list(probed.scores) == [0, 1, 3]
    batch = kinect.task.batch_spec().make(kinect.task)
    expected = score_batch(kinect.build(architecture, 0), batch, ["synflow", "zen", "nwot"])
    assert {name: score["value"] for name, score in probed.scores[0].items()} == {
        name: score.value for name, score in expected.items()
    }
    assert probed.scores[0]["nwot"]["value"] != probed.scores[3]["nwot"]["value"]
    assert reproducible(replace(probed, scores={})) == reproducible(result)


def test_proxies_do_not_change_a_training_with_dropout(cora: NasBenchGraph, graph: FullGraph) -> None:
    architecture = cora.parse(KEY)
    plain = train(cora, architecture, graph, GRAPH_RECIPE, 0)
    probed = train(cora, architecture, graph, GRAPH_RECIPE, 0, proxies=("zen", "snip"), probe_epochs=(0, 1, 2))
    assert reproducible(replace(probed, scores={})) == reproducible(plain)
    batch = cora.task.batch_spec().make(cora.task)
    assert probed.scores[0]["snip"]["value"] == score_batch(cora.build(architecture, 0), batch)["snip"].value


def test_graphs_have_dropout_and_a_test_part(cora: NasBenchGraph, graph: FullGraph) -> None:
    result = train(cora, cora.parse(KEY), graph, GRAPH_RECIPE, 0)
    best = max(result.epochs, key=lambda record: record.accuracy)
    assert result.accuracy == best.test_accuracy
    assert all(record.top5_accuracy is not None for record in result.epochs)  # seven classes
    with torch.no_grad():
        outputs = cora.build(cora.parse(KEY), 0)(*graph.inputs)  # without dropout
    nodes = graph.nodes["training"]
    loss = torch.nn.functional.cross_entropy(outputs[nodes], graph.labels[nodes])
    assert result.epochs[0].training_loss != pytest.approx(float(loss), rel=1e-3)


def test_adam(kinect: GcnNas, architecture: GcnNasArchitecture, motion: TrainingData, recipe: Recipe) -> None:
    result = train(
        kinect, architecture, motion, replace(recipe, optimizer="adam", learning_rate=1e-3, epochs=1, warm_up=0), 0
    )
    assert result.error is None
    assert result.epochs[0].learning_rate == 1e-3


def test_divergence_is_no_number(
    kinect: GcnNas, architecture: GcnNasArchitecture, motion: TrainingData, recipe: Recipe
) -> None:
    result = train(kinect, architecture, motion, replace(recipe, learning_rate=1e20, warm_up=0), 0)
    assert (result.accuracy, result.error, result.epochs) == (None, "diverged", ())
    assert "epoch 0" in str(result.detail)


@pytest.mark.parametrize(
    "error", [torch.OutOfMemoryError("CUDA out of memory"), RuntimeError("DefaultCPUAllocator: not enough memory")]
)
def test_lack_of_memory_keeps_the_epochs_before(
    kinect: GcnNas,
    architecture: GcnNasArchitecture,
    motion: TrainingData,
    recipe: Recipe,
    result: TrainingResult,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
) -> None:
    def stop(record: EpochRecord) -> None:
        monkeypatch.setattr(GcnNasNetwork, "forward", lambda self, x: raise_error(error))

    failed = train(kinect, architecture, motion, recipe, 0, on_epoch=stop)
    assert (failed.accuracy, failed.error, failed.detail) == (None, "out_of_memory", str(error))
    assert [record.training_loss for record in failed.epochs] == [result.epochs[0].training_loss]


def test_programming_errors_raise(
    kinect: GcnNas,
    architecture: GcnNasArchitecture,
    motion: TrainingData,
    recipe: Recipe,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(GcnNasNetwork, "forward", lambda self, x: raise_error(RuntimeError("shapes differ")))
    with pytest.raises(RuntimeError, match="shapes differ"):
        train(kinect, architecture, motion, recipe, 0)


def raise_error(error: Exception) -> Tensor:
    raise error


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"device": "tpu"}, "device: got 'tpu'"),
        ({"device": "cuda:99"}, "device: got 'cuda:99'"),
        ({"device": "meta"}, "device: got 'meta'"),
        ({"recipe": Recipe(precision="bfloat16")}, r"recipe.precision: got 'bfloat16'; allowed: float32 on the CPU"),
        ({"seed": -1}, "seed: got -1"),
    ],
)
def test_errors_name_the_field(
    kinect: GcnNas,
    architecture: GcnNasArchitecture,
    motion: TrainingData,
    recipe: Recipe,
    changes: dict[str, Any],
    message: str,
) -> None:
    arguments: dict[str, Any] = {"recipe": recipe, "seed": 0} | changes
    with pytest.raises(InputError, match=message):
        train(kinect, architecture, motion, **arguments)


def test_unknown_proxies_are_refused(
    kinect: GcnNas, architecture: GcnNasArchitecture, motion: TrainingData, recipe: Recipe
) -> None:
    with pytest.raises(UnknownNameError, match="sinflow"):
        train(kinect, architecture, motion, recipe, 0, proxies=("sinflow",), probe_epochs=(0,))


def test_spaces_without_trainings_are_refused(motion: TrainingData, recipe: Recipe) -> None:
    images: Any = get_space("nas-bench-201")
    architecture = images.sample(np.random.default_rng(0))
    with pytest.raises(InputError, match="can be trained: gcn-nas, nas-bench-graph"):
        train(images, architecture, motion, recipe, 0)


def test_test_accuracy_is_that_of_the_first_best_validation() -> None:
    def record(epoch: int, accuracy: float, test: float | None) -> EpochRecord:
        return EpochRecord(epoch, 1.0, 1.0, accuracy, None, test, 0.1, 1.0, 1.0)

    assert reported_accuracy([record(0, 0.5, 0.3), record(1, 0.7, 0.4), record(2, 0.7, 0.6)]) == 0.4
    assert reported_accuracy([record(0, 0.7, None), record(1, 0.5, None)]) == 0.5
    assert math.isclose(reported_accuracy([record(0, 0.5, 0.0)]), 0.0)
