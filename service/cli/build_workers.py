"""Workers of `archrank benchmark build`."""

from collections.abc import Mapping
from typing import Any

from training.benchmark.building import MakeWorkers
from training.benchmark.pool import Worker
from training.benchmark.process_worker import ProcessWorker


def make_workers(backend: str, number: int, device: str, timeout: float | None) -> MakeWorkers:
    """Return a function that makes the workers of a build.

    Args:
        backend: `process` or `ray`.
        number: number of workers. With several GPUs, they are divided evenly among them.
        device: `cpu` or `cuda`.
        timeout: maximum duration of a training in seconds; None for no limit.
    """
    import torch

    num_gpus = torch.cuda.device_count() if device == "cuda" else 0

    def make(setup: Mapping[str, Any]) -> list[Worker]:
        devices = [f"cuda:{i % num_gpus}" if num_gpus else "cpu" for i in range(number)]
        return [ProcessWorker({**setup, "device": name}, timeout) for name in devices]

    return make
