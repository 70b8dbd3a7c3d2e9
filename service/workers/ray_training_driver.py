"""Main function of the process that connects a build to a Ray cluster.

Messages are JSON texts: a kind, the index of a worker, and data.

From the parent: `start` the actor, `train` a task, `stop` after the current epoch, `kill` the training, `close` the
actor; `exit`. To the parent: `alive`, a heartbeat of the cluster's head; `error`, after which the process exits; and of
a worker `epochs` (number of completed ones), `result` of a start or training (null if the worker was stopped), and a
kind of `ERRORS` with a detail.
"""

import json
import logging
import math
import os
import signal
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from multiprocessing.connection import Connection
from threading import Lock, Thread
from time import monotonic, sleep
from typing import Any, TypeVar

from common.errors import ArchrankError, describe_error
from common.processes import exit_with_parent
from service.workers import ray_cluster
from service.workers.ray_training_actor import TrainingActor
from training.benchmark.pool import WorkerCrashError, WorkerStartError, WorkerTimeoutError
from training.benchmark.task_trainer import EpochCallback

log = logging.getLogger(__name__)
T = TypeVar("T")
POLL_INTERVAL_S = 1.0
NODE_LOSS_S = 10.0
"""Time within which a cluster notices the loss of a node."""
ERRORS: Mapping[str, type[ArchrankError]] = {
    "crash": WorkerCrashError,
    "start": WorkerStartError,
    "timeout": WorkerTimeoutError,
}
"""Errors of a training by the kind of their message, see `training.benchmark.pool.Worker`."""


def serve(connection: Connection, setup: str) -> None:
    """Connect, and serve the parent until it is done or ends.

    Args:
        connection: connection to the parent.
        setup: JSON text: `connection`, the arguments of `ray_cluster.connect`; `num_workers`; and see `ActorTrainer`.
    """
    for number in (signal.SIGINT, signal.SIGTERM):  # they reach the whole process group; the parent ends this process
        signal.signal(number, signal.SIG_IGN)
    exit_with_parent()
    with open(os.devnull, "wb") as null:  # Ray prints the logs of its processes when they end
        for stream in (1, 2):
            os.dup2(null.fileno(), stream)
    options = json.loads(setup)
    driver = Driver(connection)
    try:
        ray_cluster.connect(**options["connection"])
    except ArchrankError as error:
        driver.send("error", None, str(error))
    else:
        driver.serve([ActorTrainer(options) for _ in range(options["num_workers"])])
        ray_cluster.disconnect()


class Driver:
    """Messages from and to the parent."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._lock = Lock()

    def serve(self, trainers: "Sequence[ActorTrainer]") -> None:
        """Handle the messages of the parent until the last one."""
        Thread(target=self._beat, daemon=True).start()
        with suppress(EOFError, OSError):
            while True:
                kind, index, data = json.loads(self._connection.recv_bytes())
                if kind == "exit":
                    break
                trainer = trainers[index]
                if kind == "start":
                    self._run(index, trainer.start)
                elif kind == "train":
                    self._run(index, partial(trainer.train, data, partial(self.send, "epochs", index)))
                else:
                    getattr(trainer, kind)()

    def send(self, kind: str, index: int | None, data: Any) -> None:
        """Send a message to the parent."""
        with self._lock, suppress(OSError):  # the parent has ended, and so will this process
            self._connection.send_bytes(json.dumps([kind, index, data]).encode())

    def _run(self, index: int, call: Callable[[], Any]) -> None:
        """Send the result of a call, made in a thread, or its error."""

        def run() -> None:
            try:
                result = call()
            except Exception as error:
                kind = next((kind for kind, expected in ERRORS.items() if isinstance(error, expected)), "crash")
                self.send(kind, index, describe_error(error))
            else:
                self.send("result", index, result)

        Thread(target=run, daemon=True).start()

    def _beat(self) -> None:
        while True:
            ray_cluster.list_nodes()
            self.send("alive", None, None)
            sleep(POLL_INTERVAL_S)


class ActorTrainer:
    """Trains one architecture at a time, in an actor of the cluster that this process is connected to.

    The loss of a node is no fault of a training: it goes on from its checkpoint on another node.

    Args:
        setup: `actor`, see `TrainingActor`; `timeout`, maximum duration of a training in seconds, None for no limit;
            `num_cpus` and `num_gpus` of the actor, of which a fraction shares a GPU.
    """

    def __init__(self, setup: Mapping[str, Any]) -> None:
        self._setup, self._num_cpus, self._num_gpus = setup["actor"], setup["num_cpus"], setup["num_gpus"]
        self._timeout = math.inf if setup["timeout"] is None else float(setup["timeout"])
        self._actor: Any = None
        self._node = ""
        self._stopping = self._killed = False

    def start(self) -> bool:
        """See `training.benchmark.pool.Worker.start`."""
        try:
            return self._on_actor(lambda: True) or False
        except WorkerCrashError as error:
            raise WorkerStartError(str(error)) from error

    def train(self, task: Mapping[str, Any], on_epoch: EpochCallback) -> dict[str, Any] | None:
        """See `training.benchmark.pool.Worker.train`."""
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
                if self._stopping:
                    break
                if not node or not ray_cluster.is_lost(node, NODE_LOSS_S):
                    raise WorkerCrashError(f"the actor ended: {' '.join(str(error).split())[:200]}") from error
                log.warning("node %s of the cluster was lost", node)
        return None

    def stop(self) -> None:
        """Stop after the current epoch."""
        self._stopping = True
        if (actor := self._actor) is not None:
            actor.stop.remote()

    def kill(self) -> None:
        """Stop at once; the epoch is lost."""
        self._stopping = self._killed = True

    def close(self) -> None:
        """End the actor."""
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
