"""Trainings on a GPU: passes as CUDA graphs train as plain ones do."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

pytest.importorskip("pydantic")

from training import Recipe, train
from training.cuda_graph import CudaGraphedNetwork
from training.data import TrainingData
from training.data.motion import MotionData

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.filterwarnings("ignore:Attempting to run cuBLAS, but there was no current CUDA context"),
]
FOUR_LAYERS = [["L2", "S"], ["T"], ["L", "ST"], ["S"]]
RECIPE = Recipe(epochs=3, batch_size=8, learning_rate=0.01, milestones=(2,))
TRAINING, VALIDATION = 20, 8  # the last batch of 20 has 4 samples


class Waiting(nn.Module):
    """Network whose forward pass waits for a number of the GPU, which no CUDA graph can hold."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(2, 2)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.fc(x) * float(x.sum())
        return y


class Dropping(nn.Module):
    """Network with dropout and a running mean."""

    def __init__(self) -> None:
        super().__init__()
        self.bn = nn.BatchNorm1d(2)
        self.dropout = nn.Dropout()

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.dropout(self.bn(x))
        return y


@pytest.fixture(scope="module")
def motion(space: Any) -> TrainingData:
    batch = space.task.synthetic_batch(0, batch_size=TRAINING + VALIDATION, frames=8)
    parts = {
        "training": (batch.x[:TRAINING], batch.y[:TRAINING]),
        "validation": (batch.x[TRAINING:], batch.y[TRAINING:]),
    }
    return MotionData(space.task, parts, {"data": "synthetic"})  # type: ignore[arg-type]


@pytest.fixture
def without_graphs(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    with monkeypatch.context() as patch:
        patch.setattr(CudaGraphedNetwork, "_capture", lambda *args: None)
        yield patch


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_cuda_graphs_train_as_single_kernels_do(
    space: Any, motion: TrainingData, device: str, precision: str, without_graphs: pytest.MonkeyPatch
) -> None:
    if device == "cpu":
        pytest.skip("CUDA graphs need a GPU")
    recipe = replace(RECIPE, precision=precision)  # type: ignore[arg-type]
    plain = train(space, space.parse(FOUR_LAYERS), motion, recipe, 0, device=device)
    without_graphs.undo()
    graphed = train(space, space.parse(FOUR_LAYERS), motion, recipe, 0, device=device)
    assert plain.error is graphed.error is None
    for one, other in zip(plain.epochs, graphed.epochs, strict=True):
        assert other.training_loss == pytest.approx(one.training_loss, rel=0.02)
        assert other.gradient_norm == pytest.approx(one.gradient_norm, rel=0.05)
        assert other.validation_loss == pytest.approx(one.validation_loss, rel=0.05)


def test_capture_leaves_buffers_and_random_state(device: str) -> None:
    if device == "cpu":
        pytest.skip("CUDA graphs need a GPU")
    target = torch.device(device, 0)
    x = torch.randn(64, 2, device=target, generator=torch.Generator(target).manual_seed(0)).requires_grad_()
    outputs, means = [], []
    for make in (lambda network: CudaGraphedNetwork(network, target), lambda network: network):
        network = Dropping().to(target)
        forward = make(network)
        for _ in range(2):
            torch.cuda.manual_seed(1)
            outputs.append(forward(x).detach().clone())
        means.append(network.bn.running_mean.clone())  # type: ignore[union-attr]
        assert network.bn.num_batches_tracked == 2
    assert torch.equal(means[0], means[1])
    assert torch.equal(outputs[0], outputs[1])
    assert torch.equal(outputs[0], outputs[2])


def test_a_network_that_cannot_be_captured_is_passed_kernel_by_kernel(
    device: str, caplog: pytest.LogCaptureFixture
) -> None:
    if device == "cpu":
        pytest.skip("CUDA graphs need a GPU")
    target = torch.device(device, 0)
    network = Waiting().to(target)
    forward, x = CudaGraphedNetwork(network, target), torch.ones(3, 2, device=target)
    for _ in range(2):
        output = forward(x)
        torch.autograd.backward(output.sum())
        assert torch.equal(output, network(x))
    assert "without CUDA graphs" in caplog.text
