"""Workers of a build whose trainings run in a Ray cluster.

A process of its own is connected to the cluster (`ray_training_driver`), as Ray ends a process whose head stays away.
The loss of the cluster is an error of the build, which the same command continues.
"""

import json
from collections.abc import Mapping
from contextlib import suppress
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from queue import SimpleQueue
from threading import RLock, Thread
from time import monotonic
from typing import Any

from common.processes import describe_exit
from service.workers.errors import ClusterError
from service.workers.ray_cluster import check_installation, installed_versions
from service.workers.ray_training_driver import ERRORS, serve
from training.benchmark.pool import Worker
from training.benchmark.task_trainer import EpochCallback

SPAWN = get_context("spawn")
PROCESS_NAME = "ray training driver"
CONNECT_TIMEOUT_S = 120.0
HEAD_TIMEOUT_S = 30.0
"""Time without an answer of the head after which the cluster counts as lost; Ray itself waits twice as long."""
DISCONNECT_TIMEOUT_S = 5.0


def make_ray_workers(
    setup: Mapping[str, Any],
    folder: Path,
    connection: Mapping[str, Any],
    *,
    number: int,
    timeout: float | None,
    num_gpus: float,
) -> list[Worker]:
    """Make the workers of a build, which share a connection.

    Args:
        setup: see `TaskTrainer.create`.
        folder: folder of the build.
        connection: arguments of `ray_cluster.connect`.
        number: number of workers, each with an actor.
        timeout: maximum duration of a training in seconds; None for no limit.
        num_gpus: GPUs of an actor; a fraction shares one.

    Raises:
        MissingExtraError: Ray is not installed.
        ClusterError: Ray is too old, or there is no token.
    """
    check_installation(connection["allow_open"])
    actor = {**setup, "versions": installed_versions(), "folder": str(folder.absolute())}
    cluster = TrainingCluster(
        {
            "connection": dict(connection),
            "num_workers": number,
            "actor": json.dumps(actor),
            "timeout": timeout,
            "num_cpus": setup["num_threads"],
            "num_gpus": num_gpus,
        }
    )
    return [RayTrainingWorker(cluster, index) for index in range(number)]


class TrainingCluster:
    """Process that is connected to the cluster while a worker needs it.

    Args:
        setup: see `ray_training_driver.serve`.
    """

    def __init__(self, setup: Mapping[str, Any]) -> None:
        self._setup = json.dumps(setup)
        self._lock = RLock()  # signal handlers call `send`, too
        self._connection: Connection | None = None
        self._listener: Thread | None = None
        self._messages: dict[int, SimpleQueue[tuple[str, Any]]] = {}
        """Messages to the workers that need the process."""

    def open(self, index: int) -> None:
        """Start the process for a worker, unless it runs for another."""
        with self._lock:
            self._messages[index] = SimpleQueue()
            if self._connection is None:
                self._connection, child = SPAWN.Pipe()
                process = SPAWN.Process(target=serve, args=(child, self._setup), name=PROCESS_NAME, daemon=True)
                process.start()
                child.close()
                self._listener = Thread(target=self._listen, args=(process, self._connection), daemon=True)
                self._listener.start()

    def close(self, index: int) -> None:
        """End the actor of a worker, and with the last one the process."""
        self.send("close", index)
        with self._lock:
            self._messages.pop(index, None)
            listener = None if self._messages else self._listener
        if listener is not None:
            self.send("exit", index)
            listener.join()

    def send(self, kind: str, index: int, data: Any = None) -> None:
        """Send a message of a worker, unless the process has ended."""
        with self._lock, suppress(OSError):
            if self._connection is not None:
                self._connection.send_bytes(json.dumps([kind, index, data]).encode())

    def receive(self, index: int) -> tuple[str, Any]:
        """Wait for a message to a worker; returns its kind and its data."""
        return self._messages[index].get()

    def put(self, index: int, kind: str, data: Any) -> None:
        """Put a message to a worker."""
        with self._lock:
            if index in self._messages:
                self._messages[index].put((kind, data))

    def _listen(self, process: BaseProcess, connection: Connection) -> None:
        """Pass messages on until the process ends or the head stays away, then end the process. Runs in a thread."""
        error, deadline = None, monotonic() + CONNECT_TIMEOUT_S
        with suppress(EOFError, OSError):
            while connection.poll(max(0.0, deadline - monotonic())):
                kind, index, data = json.loads(connection.recv_bytes())
                if kind == "alive":
                    deadline = monotonic() + HEAD_TIMEOUT_S
                elif kind == "error":
                    error = data
                else:
                    self.put(index, kind, data)
            error = "the head does not answer"
        with self._lock:
            self._connection = self._listener = None
        connection.close()  # the process exits
        process.join(DISCONNECT_TIMEOUT_S)
        process.kill()
        process.join()
        with self._lock:
            for messages in self._messages.values():
                messages.put(("lost", error or describe_exit(process.exitcode)))
        process.close()


class RayTrainingWorker:
    """Worker with an actor of its own.

    Args:
        cluster: the connection.
        index: index among the workers.
    """

    def __init__(self, cluster: TrainingCluster, index: int) -> None:
        self._cluster, self._index = cluster, index
        self._is_open = self._stopping = False

    def start(self) -> bool:
        """See `Worker.start`. Raises `ClusterError`, too, as `train` does."""
        return self._request("start", None, lambda epochs_done: None) or False

    def train(self, task: Mapping[str, Any], on_epoch: EpochCallback) -> dict[str, Any] | None:
        """See `Worker.train`. Raises `ClusterError`, too, if the cluster cannot be reached, or no longer."""
        result: dict[str, Any] | None = self._request("train", dict(task), on_epoch)
        return result

    def _request(self, kind: str, data: Any, on_epoch: EpochCallback) -> Any:
        """Send a message, and return the result of the request; None if the worker was stopped."""
        if self._stopping:
            return None
        if not self._is_open:
            self._cluster.open(self._index)
            self._is_open = True
        self._cluster.send(kind, self._index, data)
        while True:
            reply, content = self._cluster.receive(self._index)
            if reply == "epochs":
                on_epoch(content)
            elif reply == "result":
                return content
            elif reply == "lost":
                raise ClusterError(f"no connection to the Ray cluster: {content}; the same command continues the build")
            else:
                raise ERRORS[reply](content)

    def stop(self) -> None:
        """See `Worker.stop`."""
        self._stopping = True
        self._cluster.send("stop", self._index)

    def kill(self) -> None:
        """See `Worker.kill`."""
        self._stopping = True
        self._cluster.send("kill", self._index)
        self._cluster.put(self._index, "result", None)  # without waiting for the cluster

    def close(self) -> None:
        """See `Worker.close`."""
        if self._is_open:
            self._is_open = False
            self._cluster.close(self._index)
