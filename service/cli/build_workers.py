"""Workers of `archrank benchmark build`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from service.cli.common import settings
from service.inference.registry import find_device
from training.benchmark.building import MakeWorkers
from training.benchmark.pool import Worker
from training.benchmark.process_worker import ProcessWorker


def find_training_device(backend: str, name: str) -> str:
    """Return `cpu` or `cuda`: the device of this machine, or of the actors in a Ray cluster."""
    if backend == "ray":
        return "cuda" if settings().ray_num_gpus and name != "cpu" else "cpu"
    return find_device(name).type


def make_workers(backend: str, number: int, device: str, folder: Path, timeout: float | None) -> MakeWorkers:
    """Return a function that makes the workers of a build.

    Args:
        backend: `process`, or `ray` for actors in the cluster of the settings `ARCHRANK_RAY_*`.
        number: number of workers. With several GPUs, they are divided evenly among them.
        device: `cpu` or `cuda`.
        folder: folder of the build.
        timeout: maximum duration of a training in seconds; None for no limit.
    """

    def make_processes(setup: Mapping[str, Any]) -> list[Worker]:
        import torch

        num_gpus = torch.cuda.device_count() if device == "cuda" else 0
        devices = [f"cuda:{i % num_gpus}" if num_gpus else "cpu" for i in range(number)]
        return [ProcessWorker({**setup, "device": name}, timeout) for name in devices]

    def make_actors(setup: Mapping[str, Any]) -> list[Worker]:
        from service.workers.ray_training import make_ray_workers

        options = settings()
        connection = {
            "address": options.ray_address,
            "namespace": options.ray_namespace,
            "allow_open": options.ray_allow_open,
            "join": options.ray_join,
        }
        num_gpus = options.ray_num_gpus if device == "cuda" else 0
        return make_ray_workers(setup, folder, connection, number=number, timeout=timeout, num_gpus=num_gpus)

    return make_actors if backend == "ray" else make_processes
