"""Training of one architecture, epoch by epoch."""

import json
import math
import time
from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import SGD, Adam, Optimizer

from common.errors import ArchrankError, InputError, check_seed
from models import Architecture, BuildableSpace, ProbeBatch
from proxies import proxy_versions, score_batch
from proxies.passes.base import is_out_of_memory
from training.checkpoint import Progress, load_checkpoint, save_checkpoint
from training.cuda_graph import CudaGraphedNetwork
from training.data import Split, TrainingData, space_training
from training.evaluation import evaluate, labeled
from training.machine import Meter
from training.recipe import Recipe
from training.record import EpochRecord, TrainingResult

PROBE_EPOCHS = (0, 1, 2, 4, 6, 9)
"""Numbers of completed epochs at which the study of warm-up computes proxies."""


class DivergedError(ArchrankError):
    """A loss or a gradient is not finite."""


def train(
    space: BuildableSpace[Any],
    architecture: Architecture,
    data: TrainingData,
    recipe: Recipe,
    seed: int,
    *,
    device: str = "cpu",
    checkpoint: Path | None = None,
    proxies: Sequence[str] = (),
    probe_epochs: Collection[int] = (),
    probe_batch: ProbeBatch | None = None,
    on_epoch: Callable[[EpochRecord], None] | None = None,
) -> TrainingResult:
    """Train an architecture, and evaluate it after each epoch.

    Initial weights, order, augmentation and dropout follow from the seed and the epoch, so that an interrupted training
    that goes on from its checkpoint equals one that was not interrupted: on the CPU with the same number of threads bit
    for bit. Proxies do not change the training. The global random state is restored.

    Args:
        space: the search space.
        architecture: the architecture.
        data: samples of the space's task.
        recipe: hyperparameters.
        seed: seed of the training.
        device: device of the training, e.g. `cuda:0`.
        checkpoint: file of the state after the last epoch. If it exists, the training goes on from it.
        proxies: names of the proxies to compute during the training.
        probe_epochs: numbers of completed epochs at which they are computed, 0 for the initial weights. Those beyond
            the recipe's epochs are left out.
        probe_batch: batch that they are computed on; by default the default one of the task.
        on_epoch: called after each epoch and its checkpoint. Its exceptions stop the training.

    Returns:
        Measurements of the epochs and the accuracy. If the training diverges or memory runs out, there is no accuracy,
        and `error` is the reason.

    Raises:
        InputError: space, recipe, device, seed, proxies or checkpoint are not allowed.
    """
    check_seed(seed)
    target = _checked_device(device, recipe)
    probes = _checked_probes(data, proxies, probe_epochs, probe_batch)
    progress = Progress()
    try:
        with torch.random.fork_rng([target] if target.type == "cuda" else []):
            _run(_Trainer(space, architecture, data, recipe, seed, target), probes, progress, checkpoint, on_epoch)
    except DivergedError as error:
        return TrainingResult(tuple(progress.epochs), None, "diverged", str(error), progress.scores)
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        return TrainingResult(tuple(progress.epochs), None, "out_of_memory", str(error), progress.scores)
    return TrainingResult(tuple(progress.epochs), reported_accuracy(progress.epochs), scores=progress.scores)


def reported_accuracy(epochs: Sequence[EpochRecord]) -> float:
    """Return the test accuracy at the first epoch of the best validation accuracy; the last accuracy without a test."""
    best = max(epochs, key=lambda record: record.accuracy)
    return epochs[-1].accuracy if best.test_accuracy is None else best.test_accuracy


@dataclass(frozen=True)
class _Probes:
    """Proxies to compute during a training: versions by name, numbers of completed epochs, and the batch."""

    proxies: dict[str, str]
    epochs: frozenset[int]
    batch: ProbeBatch | None

    def to_json(self) -> dict[str, Any]:
        return {
            "proxies": self.proxies,
            "epochs": sorted(self.epochs),
            "batch": self.batch and self.batch.fingerprint,
        }


class _Trainer:
    """Network, optimizer and data of a training."""

    def __init__(
        self,
        space: BuildableSpace[Any],
        architecture: Architecture,
        data: TrainingData,
        recipe: Recipe,
        seed: int,
        device: torch.device,
    ) -> None:
        self.space, self.architecture, self.data = space, architecture, data
        self.recipe, self.seed, self.device = recipe, seed, device
        self.network = space_training(space).network(space, architecture, seed).to(device)
        self.optimizer = _optimizer(self.network, recipe)
        self._forward = CudaGraphedNetwork(self.network, device) if device.type == "cuda" else self.network
        self._meter = Meter(device)
        self._held_out: tuple[Split, ...] = ("validation", "test") if data.size("test") else ("validation",)

    @property
    def identity(self) -> dict[str, Any]:
        """Description of the training, as plain JSON."""
        return {
            "format": 1,
            "space": {"name": self.space.name, "settings": self.space.settings},
            "architecture": self.space.to_json(self.architecture),
            "data": self.data.description,
            "recipe": self.recipe.to_json(),
            "seed": self.seed,
        }

    def run_epoch(self, epoch: int) -> EpochRecord:
        """Train on all samples once, then evaluate. Raises `DivergedError`."""
        started = time.perf_counter()
        self._meter.start()
        training_loss, gradient_norm = self._train(epoch)
        _check_finite({"training loss": training_loss, "gradient norm": gradient_norm}, epoch)
        quality = evaluate(
            self.network, self.data, self._held_out, self.recipe.batch_size, self.device, self._precision()
        )
        _check_finite({"validation loss": quality["validation"].loss}, epoch)
        test = quality.get("test")
        return EpochRecord(
            epoch=epoch,
            training_loss=training_loss,
            validation_loss=quality["validation"].loss,
            accuracy=quality["validation"].accuracy,
            top5_accuracy=quality["validation"].top5_accuracy,
            test_accuracy=None if test is None else test.accuracy,
            learning_rate=self.optimizer.param_groups[0]["lr"],
            gradient_norm=gradient_norm,
            seconds=time.perf_counter() - started,
            peak_memory=self._meter.peak_memory(),
            energy=self._meter.energy(),
        )

    def _train(self, epoch: int) -> tuple[float, float]:
        """Train on all samples once.

        Returns:
            The mean loss over samples, and the mean gradient norm over steps.
        """
        order_seed, torch_seed = np.random.SeedSequence((self.seed, epoch)).generate_state(2).tolist()
        _seed_dropout(torch_seed, self.device)
        self.network.train()
        size = self.data.size("training")
        steps = math.ceil(size / (self.recipe.batch_size or size))
        sums = torch.zeros(2, dtype=torch.float64, device=self.device)
        for step, batch in enumerate(self.data.batches("training", self.recipe.batch_size, order_seed), start=1):
            for group in self.optimizer.param_groups:
                group["lr"] = self.recipe.rate(epoch, step / steps)
            loss, norm = self._step(batch.to(self.device))
            sums += torch.stack([loss.double() * len(batch.targets) / size, norm.double() / steps])
        training_loss, gradient_norm = sums.tolist()
        return training_loss, gradient_norm

    def _step(self, batch: ProbeBatch) -> tuple[Tensor, Tensor]:
        """Change the weights by one batch.

        Returns:
            The loss, and the norm of its gradients.
        """
        self.optimizer.zero_grad()
        with self._precision():
            outputs = self._forward(*batch.inputs)
        loss = functional.cross_entropy(labeled(outputs, batch), batch.targets)
        torch.autograd.backward(loss)
        gradients = [parameter.grad for parameter in self.network.parameters() if parameter.grad is not None]
        norm = torch.nn.utils.get_total_norm(gradients)
        self.optimizer.step()
        return loss.detach(), norm

    def _precision(self) -> AbstractContextManager[object]:
        if self.recipe.precision == "bfloat16":
            # Without the cache, whose casts of weights would outlive their step in CUDA graphs.
            return torch.autocast(self.device.type, torch.bfloat16, cache_enabled=False)
        return nullcontext()

    def probe(self, probes: _Probes) -> dict[str, dict[str, Any]]:
        """Compute proxies of the network as trained so far, on a copy of it without dropout."""
        assert probes.batch is not None
        network = self.space.build(self.architecture, self.seed).to(self.device)
        network.load_state_dict(self.network.state_dict())
        return {name: asdict(score) for name, score in score_batch(network, probes.batch, list(probes.proxies)).items()}


def _run(
    trainer: _Trainer,
    probes: _Probes,
    progress: Progress,
    checkpoint: Path | None,
    on_epoch: Callable[[EpochRecord], None] | None,
) -> None:
    """Train from the checkpoint, or from the beginning, to the last epoch, and fill `progress`."""
    identity = json.loads(json.dumps(trainer.identity | {"probes": probes.to_json()}))
    if checkpoint is not None and checkpoint.exists():
        load_checkpoint(checkpoint, identity, progress, trainer.network, trainer.optimizer)
    elif 0 in probes.epochs:
        progress.scores[0] = trainer.probe(probes)
    for epoch in range(len(progress.epochs), trainer.recipe.epochs):
        record = trainer.run_epoch(epoch)
        progress.epochs.append(record)
        if epoch + 1 in probes.epochs:
            progress.scores[epoch + 1] = trainer.probe(probes)
        if checkpoint is not None:
            save_checkpoint(checkpoint, identity, progress, trainer.network, trainer.optimizer)
        if on_epoch is not None:
            on_epoch(record)


def _seed_dropout(seed: int, device: torch.device) -> None:
    """Seed the generator of a device; `torch.manual_seed` would seed those of all GPUs."""
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        with torch.cuda.device(device):
            torch.cuda.manual_seed(seed)


def _optimizer(network: nn.Module, recipe: Recipe) -> Optimizer:
    if recipe.optimizer == "adam":
        return Adam(network.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay)
    return SGD(
        network.parameters(),
        lr=recipe.learning_rate,
        momentum=recipe.momentum,
        weight_decay=recipe.weight_decay,
        nesterov=recipe.nesterov,
    )


def _checked_probes(
    data: TrainingData, proxies: Sequence[str], epochs: Collection[int], batch: ProbeBatch | None
) -> _Probes:
    if not proxies:
        return _Probes({}, frozenset(), None)
    versions = proxy_versions(list(proxies))
    if batch is None:
        batch = data.task.batch_spec().make(data.task)
    data.task.check(batch)
    return _Probes(versions, frozenset(epochs), batch)


def _checked_device(name: str, recipe: Recipe) -> torch.device:
    try:
        device = torch.device(name)
        if device.type not in ("cpu", "cuda"):
            raise RuntimeError("of another kind")
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:  # AssertionError: PyTorch without CUDA
        raise InputError("device", name, f"cpu, or cuda:0 and so on for a GPU of this machine ({error})") from error
    if recipe.precision == "bfloat16" and device.type == "cpu":
        raise InputError("recipe.precision", recipe.precision, "float32 on the CPU")
    return device


def _check_finite(numbers: dict[str, float], epoch: int) -> None:
    for name, number in numbers.items():
        if not math.isfinite(number):
            raise DivergedError(f"epoch {epoch}: the {name} is {number}")
