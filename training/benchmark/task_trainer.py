"""Trainings within one process, with tasks and results in JSON."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from common.errors import InputError, describe_error
from models import BuildableSpace, ProbeBatch, get_space, require
from training.benchmark.results import result_to_json
from training.benchmark.specification import DataSource
from training.recipe import Recipe
from training.record import EpochRecord, TrainingResult

log = logging.getLogger(__name__)
EpochCallback = Callable[[int], None]
"""Called with the number of completed epochs after each one, once its checkpoint is written."""
StopCheck = Callable[[], bool]
"""Returns true if the training is to stop after its epoch."""


class _StoppedError(BaseException):
    """Ends a training after an epoch. No `Exception`, so that nothing takes it for a failure of the training."""


@dataclass(frozen=True)
class TaskTrainer:
    """Trainer with the data of all of its trainings in memory.

    Attributes:
        space: search space.
        data: the samples.
        recipe: the hyperparameters.
        device: torch device.
        num_threads: threads of PyTorch on the CPU.
        proxies, probe_epochs, batch: proxies during the trainings, see `BuildSpecification`.
    """

    space: BuildableSpace[Any]
    data: Any
    recipe: Recipe
    device: str
    num_threads: int
    proxies: tuple[str, ...]
    probe_epochs: tuple[int, ...]
    batch: ProbeBatch | None

    @classmethod
    def create(cls, setup: Mapping[str, Any]) -> "TaskTrainer":
        """Load the data.

        Args:
            setup: plain JSON: the fields of `BuildSpecification.to_json`, and `data` (a `DataSource`),
                `data_description`, `device` and `num_threads`.

        Raises:
            InputError: the data are missing, or others than those of the build; or recipe or batch do not fit them.
        """
        torch.zeros(1, device=setup["device"])  # a missing device is a failure of the start, not of a training
        space = require(get_space(setup["space"], **setup["settings"]), BuildableSpace)
        recipe = Recipe.parse(setup["recipe"])
        if recipe.precision == "bfloat16" and torch.device(setup["device"]).type == "cpu":
            raise InputError("recipe.precision", recipe.precision, "float32 on the CPU")
        data = DataSource.from_json(setup["data"]).load(space)
        if data.description != setup["data_description"]:
            raise InputError("data", data.description, f"{setup['data_description']!r}, as in the build")
        next(iter(data.batches("training", recipe.batch_size, 0)))  # raises for a batch size that the data do not allow
        batch = None if setup["batch"] is None else space.task.batch_spec(**setup["batch"]).make(space.task)
        return cls(
            space,
            data,
            recipe,
            setup["device"],
            setup["num_threads"],
            tuple(setup["proxies"]),
            tuple(setup["probe_epochs"]),
            batch,
        )

    def train(
        self, task: Mapping[str, Any], on_epoch: EpochCallback, stop: StopCheck = lambda: False
    ) -> dict[str, Any] | None:
        """Train one architecture, from its checkpoint if there is one.

        Args:
            task: plain JSON: `architecture`, `seed` and `checkpoint`, a path.
            on_epoch: called after each epoch.
            stop: asked after each epoch.

        Returns:
            The result, see `result_to_json`, with the `environment`; None if the training was stopped.
        """
        from training.trainer import train

        torch.set_num_threads(self.num_threads)  # of the calling thread

        def finish_epoch(record: EpochRecord) -> None:
            on_epoch(record.epoch + 1)
            if stop() and record.epoch + 1 < self.recipe.epochs:
                raise _StoppedError

        try:
            result = train(
                self.space,
                self.space.parse(task["architecture"]),
                self.data,
                self.recipe,
                task["seed"],
                device=self.device,
                checkpoint=Path(task["checkpoint"]),
                proxies=self.proxies,
                probe_epochs=self.probe_epochs,
                probe_batch=self.batch,
                on_epoch=finish_epoch,
            )
        except _StoppedError:
            return None
        except Exception as error:
            log.exception("training %s failed", Path(task["checkpoint"]).stem)
            result = TrainingResult((), None, "error", describe_error(error))
        finally:
            if torch.device(self.device).type == "cuda":
                torch.cuda.empty_cache()  # other processes may share the GPU
        return result_to_json(result) | {"environment": self._environment()}

    def _environment(self) -> dict[str, Any]:
        on_gpu = torch.device(self.device).type == "cuda"
        return {
            "device": torch.cuda.get_device_name(self.device) if on_gpu else "cpu",
            "num_threads": torch.get_num_threads(),
            "torch": torch.__version__,
        }
