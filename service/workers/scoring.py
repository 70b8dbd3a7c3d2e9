"""What every backend does with a task: read it, build the network, score it. Probe batches as JSON data."""

import base64
import logging
from collections.abc import Mapping
from dataclasses import asdict
from io import BytesIO
from time import perf_counter
from typing import Any

import numpy as np
import torch
from torch import Tensor

from common.errors import ArchrankError
from models import UnknownNameError, get_space
from models.batches import ProbeBatch, check_batch
from proxies import score
from proxies.passes.base import is_out_of_memory
from proxies.runner import check_options
from service.failures import FailureKind
from service.workers.base import OUT_OF_MEMORY, Failure, Outcome, Task

log = logging.getLogger(__name__)


class Scorer:
    """Scores tasks, one at a time, on one device.

    Args:
        batches: the probe batches by the id that tasks name them by.
        device: where networks run.
        proxy_seconds: how long one proxy may take (see `proxies.runner.score`); no limit where None.
    """

    def __init__(
        self, batches: Mapping[str, ProbeBatch], device: torch.device, proxy_seconds: float | None = None
    ) -> None:
        self.device, self._proxy_seconds = device, proxy_seconds
        self._batches = {
            name: ProbeBatch(batch.x.to(device), batch.y.to(device), batch.source) for name, batch in batches.items()
        }

    def __call__(self, task: Task) -> Outcome:
        """The outcome; whatever is raised on the way is one."""
        started = perf_counter()
        scores, failure = None, None
        try:
            scores = self._scores(task)
        except Exception as error:
            failure = _failure(error)
        if scores and all((one["error"] or "").startswith(OUT_OF_MEMORY) for one in scores.values()):
            scores, failure = None, Failure("out_of_memory", "every proxy ran out of memory")
        if lost := self._lost():
            scores, failure = None, Failure("device_error", lost)
        return Outcome(task.id, scores, perf_counter() - started, failure)

    def _scores(self, task: Task) -> dict[str, dict[str, Any]]:
        if task.probe not in self._batches:
            raise UnknownNameError("probe", task.probe, list(self._batches))
        check_options(task.seed, task.repeats)
        space, batch = get_space(task.space, **task.settings), self._batches[task.probe]
        check_batch(batch.x, batch.y, space.input_shape(len(batch.y), batch.x.shape[2]), space.num_classes)
        network = space.build(space.parse(task.architecture), task.seed).to(self.device)
        found = score(network, batch.x, batch.y, task.proxies, task.seed, task.repeats, self._proxy_seconds)
        return {name: asdict(one) for name, one in found.items()}

    def _lost(self) -> str | None:
        """Why the GPU is lost for this process: after certain errors every later call fails as well."""
        if self.device.type == "cuda":
            try:
                torch.cuda.synchronize(self.device)
            except Exception as error:
                return _sentence(error)
        return None


def encode_batches(batches: Mapping[str, ProbeBatch]) -> dict[str, Any]:
    """The batches as JSON data; the tensors are `.npy` files in base64."""
    return {
        name: {"source": batch.source, "x": _packed(batch.x), "y": _packed(batch.y)} for name, batch in batches.items()
    }


def decode_batches(encoded: Mapping[str, Any]) -> dict[str, ProbeBatch]:
    """The batches that `encode_batches` wrote, on the CPU."""
    return {name: ProbeBatch(_unpacked(one["x"]), _unpacked(one["y"]), one["source"]) for name, one in encoded.items()}


def _packed(tensor: Tensor) -> str:
    file = BytesIO()
    np.save(file, tensor.numpy(force=True), allow_pickle=False)
    return base64.b64encode(file.getvalue()).decode()


def _unpacked(text: str) -> Tensor:
    return torch.from_numpy(np.load(BytesIO(base64.b64decode(text)), allow_pickle=False))


def _failure(error: Exception) -> Failure:
    if isinstance(error, ArchrankError):  # first, as it may quote anything
        return Failure("error", str(error))
    kind: FailureKind = "error"
    if is_out_of_memory(error):
        kind = "out_of_memory"
    else:
        log.error("a task failed", exc_info=error)
    return Failure(kind, _sentence(error))


def _sentence(error: Exception) -> str:
    return ": ".join([type(error).__name__, *str(error).splitlines()[:1]])
