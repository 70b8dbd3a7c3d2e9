"""Trainings in a Ray cluster: one actor for each training at a time. Arguments and results are JSON texts.

The nodes read the data and write the checkpoints by the paths of the process that builds: they share its file system.
"""

import json
import logging
import math
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from threading import Event
from time import monotonic, sleep
from typing import Any, TypeVar

from common.errors import describe_error
from service.workers.ray_cluster import check_versions, installed_versions, list_nodes
from training.benchmark.pool import WorkerCrashError, WorkerStartError, WorkerTimeoutError
from training.benchmark.task_trainer import EpochCallback, TaskTrainer

log = logging.getLogger(__name__)
POLL_INTERVAL_S = 1.0
T = TypeVar("T")
NODE_LOSS_S = 10.0
"""Time within which a cluster notices the loss of a node."""


class TrainingActor:
    """Actor with one training at a time. Two threads serve it, so that it answers during a training.

    Args:
        setup: JSON text: see `TaskTrainer.create`, with `versions` (see `check_versions`) and `folder`, of the build.
    """

    def __init__(self, setup: str) -> None:
        self._setup: dict[str, Any] = json.loads(setup)
        self._trainer: TaskTrainer | None = None
        self._stopped = Event()
        self._epochs_done = 0

    def start(self) -> str:
        """Load the data; returns the id of the node, and the error if there is one."""
        import ray

        error = None
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # makes matrix products deterministic
        try:
            check_versions(self._setup["versions"])
            if not Path(self._setup["folder"]).is_dir():
                error = f"{self._setup['folder']} does not exist on the node: it has to be on a shared file system"
            else:
                self._trainer = TaskTrainer.create(self._setup)
        except Exception as problem:
            error = describe_error(problem)
        return json.dumps({"node": ray.get_runtime_context().get_node_id(), "error": error})

    def train(self, task: str) -> str:
        """Train; see `TaskTrainer.train`."""
        assert self._trainer is not None
        self._epochs_done = 0
        return json.dumps(self._trainer.train(json.loads(task), self._set_epochs_done, self._stopped.is_set))

    def epochs_done(self) -> int:
        """Return the number of completed epochs."""
        return self._epochs_done

    def stop(self) -> None:
        """Stop after the current epoch."""
        self._stopped.set()

    def _set_epochs_done(self, number: int) -> None:
        self._epochs_done = number


class RayTrainingWorker:
    """Worker of a build, with an actor in the cluster that this process is connected to.

    The loss of a node is no fault of a training: it goes on from its checkpoint on another node.

    Args:
        setup: see `TaskTrainer.create`.
        folder: folder of the build.
        timeout: maximum duration of a training in seconds; None for no limit.
        num_gpus: GPUs of the actor; a fraction shares one.
    """

    def __init__(self, setup: Mapping[str, Any], folder: Path, timeout: float | None, num_gpus: float) -> None:
        self._setup = json.dumps({**setup, "versions": installed_versions(), "folder": str(folder.absolute())})
        self._timeout, self._num_gpus = math.inf if timeout is None else timeout, num_gpus
        self._num_cpus = int(setup["num_threads"])
        self._actor: Any = None
        self._node = ""
        self._stopping = self._killed = False

    def start(self) -> bool:
        """See `Worker.start`."""
        try:
            return self._on_actor(lambda: True) or False
        except WorkerCrashError as error:
            raise WorkerStartError(str(error)) from error

    def train(self, task: Mapping[str, Any], on_epoch: EpochCallback) -> dict[str, Any] | None:
        """See `Worker.train`."""
        return self._on_actor(lambda: self._train(json.dumps(dict(task)), on_epoch))

    def _on_actor(self, call: Callable[[], T]) -> T | None:
        """Return the result of a call on an actor, on another one after the loss of a node; None if stopped.

        Raises:
            WorkerStartError: the actor cannot start.
            WorkerCrashError: the actor ended.
        """
        import ray

        while not self._stopping:
            try:
                if self._actor is None:
                    self._start()
                return call()
            except ray.exceptions.GetTimeoutError:  # stopped before there was room for the actor
                break
            except ray.exceptions.RayActorError as error:
                node = self._node
                self.close()
                if not self._stopping and not _is_lost(node):
                    raise WorkerCrashError(f"the actor ended: {' '.join(str(error).split())[:200]}") from error
        return None

    def stop(self) -> None:
        """See `Worker.stop`."""
        self._stopping = True
        if (actor := self._actor) is not None:
            actor.stop.remote()

    def kill(self) -> None:
        """See `Worker.kill`."""
        self._stopping = self._killed = True

    def close(self) -> None:
        """See `Worker.close`."""
        import ray

        actor, self._actor, self._node = self._actor, None, ""
        if actor is not None:
            with suppress(ray.exceptions.RayError):
                ray.kill(actor)

    def _start(self) -> None:
        """Request an actor, for which the cluster may have to add a node, and wait until it has loaded the data."""
        import ray

        options = {"max_restarts": 0, "max_task_retries": 0, "max_concurrency": 2}
        actor_class = ray.remote(TrainingActor).options(num_cpus=self._num_cpus, num_gpus=self._num_gpus, **options)
        self._actor = actor_class.remote(self._setup)
        reply = json.loads(self._wait(self._actor.start.remote()))
        self._node = reply["node"]
        if reply["error"] is not None:
            self.close()
            raise WorkerStartError(f"the actor on node {reply['node']} did not start: {reply['error']}")

    def _train(self, task: str, on_epoch: EpochCallback) -> dict[str, Any] | None:
        import ray

        deadline, reported = monotonic() + self._timeout, 0
        result = self._actor.train.remote(task)
        while not ray.wait([result], timeout=POLL_INTERVAL_S)[0]:
            if self._killed:
                self.close()
                return None
            if monotonic() > deadline:
                self.close()
                raise WorkerTimeoutError(f"the training took longer than {self._timeout:g} s")
            with suppress(ray.exceptions.GetTimeoutError):
                done: int = ray.get(self._actor.epochs_done.remote(), timeout=POLL_INTERVAL_S)
                if done > reported:
                    on_epoch(done)
                    reported = done
        data: dict[str, Any] | None = json.loads(ray.get(result))
        return data

    def _wait(self, reference: Any) -> str:
        """Wait for a text. Raises `GetTimeoutError` if the worker is stopped before."""
        import ray

        while not ray.wait([reference], timeout=POLL_INTERVAL_S)[0]:
            if self._stopping:
                self.close()
                raise ray.exceptions.GetTimeoutError
        text: str = ray.get(reference)
        return text


def _is_lost(node: str) -> bool:
    """Return true if the cluster notices within some time that a node is lost."""
    deadline = monotonic() + NODE_LOSS_S
    while node and monotonic() < deadline:
        nodes = list_nodes()
        if node not in nodes or not nodes[node].is_alive:
            log.warning("node %s of the cluster was lost", node)
            return True
        sleep(POLL_INTERVAL_S)
    return False
