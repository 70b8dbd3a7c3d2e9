"""Loss and metric of held-out samples."""

from collections.abc import Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from models import ProbeBatch
from training.data.base import Split, TrainingData

TOP = 5


@dataclass(frozen=True)
class Evaluation:
    """Quality of a network on a part of the data.

    Attributes:
        loss: mean cross entropy, in nats.
        accuracy: fraction of correctly classified samples.
        top5_accuracy: fraction of samples with their class among the five largest outputs; None for fewer than 6
            classes.
    """

    loss: float
    accuracy: float
    top5_accuracy: float | None


def labeled(outputs: Tensor, batch: ProbeBatch) -> Tensor:
    """Return the outputs of the rows that have targets, in float32."""
    return (outputs if batch.rows is None else outputs[batch.rows]).float()


@torch.no_grad()
def evaluate(
    network: nn.Module,
    data: TrainingData,
    splits: Iterable[Split],
    batch_size: int | None,
    device: torch.device,
    precision: AbstractContextManager[object],
) -> dict[Split, Evaluation]:
    """Evaluate a network in evaluation mode. One graph with several parts is run once.

    Args:
        network: the network, on the device.
        data: the data.
        splits: parts with at least one sample.
        batch_size: samples a batch; None: all at once.
        device: device of the network.
        precision: context of the forward passes.
    """
    network.eval()
    previous: tuple[tuple[Tensor, ...], Tensor] | None = None
    evaluations = {}
    for split in splits:
        sums = torch.zeros(3, dtype=torch.float64, device=device)
        for batch in data.batches(split, batch_size, 0):
            moved = batch.to(device)
            if previous is None or any(a is not b for a, b in zip(previous[0], batch.inputs, strict=True)):
                with precision:
                    previous = batch.inputs, network(*moved.inputs)
            sums += _sums(labeled(previous[1], moved), moved.targets)
        loss, right, near = (sums / data.size(split)).tolist()
        evaluations[split] = Evaluation(loss, right, near if data.task.num_outputs > TOP else None)
    return evaluations


def _sums(outputs: Tensor, labels: Tensor) -> Tensor:
    """Sums over samples of the loss, and of the hits among one and among five classes, (3,)."""
    loss = functional.cross_entropy(outputs, labels, reduction="sum")
    top = outputs.topk(min(TOP, outputs.shape[1]), dim=1).indices == labels[:, None]
    return torch.stack([loss.double(), top[:, 0].sum().double(), top.sum().double()])
