"""Scoring of a task, common to all backends, and conversion of probe batches to JSON data."""

import base64
import logging
from collections.abc import Mapping
from dataclasses import asdict
from io import BytesIO
from time import perf_counter
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from common.errors import ArchrankError, UnknownNameError, describe_error
from models import BatchError, BuildableSpace, ProbeBatch, get_space, require
from models import Task as SpaceTask
from proxies.passes.base import is_out_of_memory
from proxies.runner import check_options, score_batch
from service.failures import FailureKind
from service.workers.backend import OUT_OF_MEMORY, Failure, Task, TaskOutcome

log = logging.getLogger(__name__)
MAX_MADE_BATCHES = 16
"""Batches that a process has made and keeps; the oldest goes first."""


class TaskScorer:
    """Scores tasks, one at a time, on one device.

    Args:
        batches: probe batches by fingerprint; tasks specify all others.
        device: device of the networks.
        score_timeout: maximum time of a proxy in seconds, see `proxies.runner.score`; no limit if None.
    """

    def __init__(
        self, batches: Mapping[str, ProbeBatch], device: torch.device, score_timeout: float | None = None
    ) -> None:
        self.device, self._score_timeout = device, score_timeout
        self._batches = {name: batch.to(device) for name, batch in batches.items()}
        self._made: dict[str, ProbeBatch] = {}

    def __call__(self, task: Task) -> TaskOutcome:
        """Score a task. Exceptions become failures."""
        started = perf_counter()
        scores, failure = None, None
        try:
            scores = self._score(task)
        except Exception as error:
            failure = _to_failure(error)
        if scores and all((fields["error"] or "").startswith(OUT_OF_MEMORY) for fields in scores.values()):
            scores, failure = None, Failure("out_of_memory", "every proxy ran out of memory")
        if device_error := self._device_error():
            scores, failure = None, Failure("device_error", device_error)
        return TaskOutcome(task.id, scores, perf_counter() - started, failure)

    def _score(self, task: Task) -> dict[str, dict[str, Any]]:
        check_options(task.seed, task.repeats)
        space = require(get_space(task.space, **task.settings), BuildableSpace)
        batch = self._batch(task, space.task)
        space.task.check(batch)
        network = space.build(space.parse(task.architecture), task.seed).to(self.device)
        scores = score_batch(network, batch, task.proxies, task.seed, task.repeats, self._score_timeout)
        return {proxy: asdict(proxy_score) for proxy, proxy_score in scores.items()}

    def _batch(self, task: Task, space_task: SpaceTask) -> ProbeBatch:
        """Return the task's probe batch, on the device."""
        name = task.probe_batch
        if name in self._batches:
            return self._batches[name]
        if task.batch_fields is None:
            raise UnknownNameError("probe_batch", name, list(self._batches))
        if name not in self._made:
            made = space_task.batch_spec(**task.batch_fields).make(space_task)
            if made.fingerprint != name:  # its data have changed, or differ from those on the server's machine
                raise BatchError("probe_batch", made.fingerprint, f"{name}, that of the server")
            if len(self._made) == MAX_MADE_BATCHES:
                del self._made[next(iter(self._made))]
            self._made[name] = made.to(self.device)
        return self._made[name]

    def _device_error(self) -> str | None:
        """Return the error of a GPU that is lost to this process: after some errors every later call fails."""
        if self.device.type == "cuda":
            try:
                torch.cuda.synchronize(self.device)
            except Exception as error:
                return describe_error(error)
        return None


def encode_batches(batches: Mapping[str, ProbeBatch]) -> dict[str, Any]:
    """Convert probe batches to JSON data, with tensors as base64-encoded `.npy` files."""
    return {
        name: {
            "source": batch.source,
            "sample_axis": batch.sample_axis,
            "tensors": {field: _encode(tensor) for field, tensor in batch.tensors.items()},
        }
        for name, batch in batches.items()
    }


def decode_batches(encoded: Mapping[str, Any]) -> dict[str, ProbeBatch]:
    """Convert the result of `encode_batches` back, on the CPU."""
    return {
        name: ProbeBatch.from_arrays(
            {field: _decode(text) for field, text in batch["tensors"].items()}, batch["source"], batch["sample_axis"]
        )
        for name, batch in encoded.items()
    }


def _encode(tensor: Tensor) -> str:
    file = BytesIO()
    np.save(file, tensor.numpy(force=True), allow_pickle=False)
    return base64.b64encode(file.getvalue()).decode()


def _decode(text: str) -> NDArray[Any]:
    array: NDArray[Any] = np.load(BytesIO(base64.b64decode(text)), allow_pickle=False)
    return array


def _to_failure(error: Exception) -> Failure:
    if isinstance(error, ArchrankError):  # first, as its text may contain anything
        return Failure("error", describe_error(error))
    kind: FailureKind = "error"
    if is_out_of_memory(error):
        kind = "out_of_memory"
    else:
        log.error("a task failed", exc_info=error)
    return Failure(kind, describe_error(error))
