"""Backend that scores in worker processes of this machine, several for each GPU or a number on the CPU."""

import json
import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from socket import socket

import torch

from common.errors import InputError
from models import ProbeBatch
from service.workers.child_process import InvalidReplyError
from service.workers.pool_backend import PoolBackend
from service.workers.task_scorer import encode_batches
from service.workers.worker_process import WorkerProcess


@dataclass(frozen=True)
class WorkerOptions:
    """Options of a `ProcessBackend`. Times are in seconds.

    Attributes:
        gpus: GPUs as in CUDA_VISIBLE_DEVICES; the CPU if empty.
        num_workers: number of workers on the CPU.
        workers_per_gpu: number of workers that share a GPU. With small batches a worker waits for its Python code more
            than for the GPU; each has its own CUDA context, of about half a GiB.
        num_threads: PyTorch threads of a worker; an equal share of this process's if None.
        task_timeout: maximum time of one attempt at a task.
        score_timeout: maximum time of a proxy, which fails alone; no limit if None.
        start_timeout: maximum time until a process is ready.
        max_tasks_per_worker: number of tasks after which a process is replaced, which takes a few seconds.
        max_memory_bytes: resident memory after a task above which a process is replaced; no limit if None.
        entry_point: `module:function` that runs in the processes.
        log: style and level of the workers' logs, see `logs.setup`; no logs if None.
    """

    gpus: tuple[str, ...] = ()
    num_workers: int = 1
    workers_per_gpu: int = 1
    num_threads: int | None = None
    task_timeout: float = 120.0
    score_timeout: float | None = None
    start_timeout: float = 120.0
    max_tasks_per_worker: int = 1000
    max_memory_bytes: int | None = None
    entry_point: str = "service.workers.worker_main:run"
    log: tuple[str, str] | None = None

    def __post_init__(self) -> None:
        counts = ("num_workers", "workers_per_gpu", "num_threads", "max_tasks_per_worker", "max_memory_bytes")
        for name in (*counts, "task_timeout", "score_timeout", "start_timeout"):
            if (value := getattr(self, name)) is not None and not value > 0:
                raise InputError(name, value, "above 0")
        if not all(self.gpus) or len(set(self.gpus)) < len(self.gpus):
            raise InputError("gpus", self.gpus, "each GPU once, by its number or its UUID")

    @property
    def visible_devices(self) -> tuple[str, ...]:
        """CUDA_VISIBLE_DEVICES of each worker."""
        return self.gpus * self.workers_per_gpu or ("",) * self.num_workers


def visible_gpus() -> tuple[str, ...]:
    """Return the GPUs that this process may use, as in CUDA_VISIBLE_DEVICES, without initialising CUDA."""
    names, count = os.environ.get("CUDA_VISIBLE_DEVICES", ""), torch.cuda.device_count()
    return tuple(names.split(",")[:count]) if names else tuple(map(str, range(count)))


class ProcessBackend(PoolBackend[WorkerProcess]):
    """Backend with worker processes on this machine. The present process never uses the device.

    Args:
        batches: probe batches by fingerprint, sent to every process when it starts; tasks specify all others.
        options: options of the workers.
    """

    def __init__(self, batches: Mapping[str, ProbeBatch], options: WorkerOptions | None = None) -> None:
        options = options or WorkerOptions()
        num_threads = options.num_threads or max(1, torch.get_num_threads() // len(options.visible_devices))
        setup = json.dumps(
            {
                "num_threads": num_threads,
                "score_timeout": options.score_timeout,
                "log": options.log,
                "probe_batches": encode_batches(batches),
            }
        )
        workers = [
            WorkerProcess(index, devices, options.entry_point, setup, options.start_timeout)
            for index, devices in enumerate(options.visible_devices)
        ]
        super().__init__(
            workers,
            options.task_timeout,
            options.start_timeout,
            options.max_tasks_per_worker,
            options.max_memory_bytes,
        )

    def _start_workers(self) -> None:
        for worker in self._workers:
            worker.spawn()

    def _handles(self) -> list[socket | int]:
        handles = (handle for worker in self._workers for handle in (worker.channel, worker.sentinel))
        return [handle for handle in handles if handle is not None]

    def _handle_events(self, ready: Collection[object]) -> None:
        for worker in self._workers:
            if worker.channel in ready:
                self._handle_replies(worker)
            if worker.sentinel in ready:
                self._handle_exit(worker)

    def _handle_replies(self, worker: WorkerProcess) -> None:
        try:
            for reply in worker.receive():
                if worker.state == "stopping":
                    break
                self._handle_reply(worker, reply)
        except InvalidReplyError as error:
            self._fail(worker, "crash", str(error))

    def _handle_exit(self, worker: WorkerProcess) -> None:
        is_expected = worker.state == "stopping"
        description = worker.reap()
        if not is_expected:
            self._fail(worker, "crash", description)
        worker.schedule_restart()
