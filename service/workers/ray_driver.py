"""Main function of the process that connects a server to a Ray cluster.

Messages are lines of three parts, separated by spaces: the kind, the key of an actor, and a text without line breaks.

From the parent: `spawn` an actor, `start` its scorer, `score` a task, `kill` an actor.
To the parent: `connected`; `nodes`, a heartbeat with the number of live nodes; `error`, after which the process exits;
and of an actor `placed` (its process and node), `reply` (see `worker.Reply`), `failed` (kind and detail of a failure).
"""

import contextlib
import json
import logging
import time
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from socket import socket
from threading import Lock, Thread
from typing import Any

from common.errors import ArchrankError, describe_error
from service.failures import FailureKind
from service.workers import ray_cluster
from service.workers.ray_actor import ScoringActor

log = logging.getLogger(__name__)
HEARTBEAT_INTERVAL_S = 1.0
NODE_LOSS_S = 1.0
"""Time within which a cluster learns that the node of an actor that ended is gone, too."""
NODE_OUT_OF_MEMORY = "running low on memory"
"""Text of Ray's error where a node's memory monitor killed the actor."""


def run(channel: socket, setup: dict[str, Any]) -> None:
    """Connect, and serve the parent until it closes the connection.

    Args:
        channel: connection to the parent.
        setup: arguments of `ray_cluster.connect`; `num_cpus` and `num_gpus` of an actor; `actor`,
            the set-up of `ScoringActor`.
    """
    driver = Driver(channel, setup)
    try:
        driver.run()
    except Exception as error:
        log.exception("the process exits")
        driver.send("error", "-", describe_error(error))


class Driver:
    """Actors of one server, by key. See `run` for the arguments."""

    def __init__(self, channel: socket, setup: dict[str, Any]) -> None:
        self._channel, self._options = channel, setup
        self._send_lock = Lock()
        self._actors: dict[str, Any] = {}
        self._nodes: dict[str, str] = {}

    def run(self) -> None:
        """See `run`."""
        options = self._options
        try:
            ray_cluster.connect(
                options["address"], options["namespace"], allow_open=options["allow_open"], join=options["join"]
            )
        except ArchrankError as error:
            self.send("error", "-", str(error))
            return
        import ray

        # Restarts are the parent's: it tells the faults of tasks from those of nodes.
        self._new_actor = ray.remote(ScoringActor).options(
            num_cpus=options["num_cpus"],
            num_gpus=options["num_gpus"],
            max_restarts=0,
            max_task_retries=0,
            max_concurrency=1,
        )
        self._setup = ray.put(options["actor"])
        self.send("connected", "-", "")
        Thread(target=self._beat, daemon=True).start()
        with self._channel.makefile("rb") as stream:
            for line in stream:
                kind, key, text = line.decode().rstrip("\n").split(" ", 2)
                getattr(self, f"_on_{kind}")(key, text)
        ray_cluster.disconnect()

    # Messages of the parent.

    def _on_spawn(self, key: str, _: str) -> None:
        self._actors[key] = actor = self._new_actor.remote(self._setup)
        self._call(key, actor.locate, self._place)

    def _on_start(self, key: str, _: str) -> None:
        self._call(key, self._actors[key].start, self._reply)

    def _on_score(self, key: str, message: str) -> None:
        self._call(key, self._actors[key].score, self._reply, message)

    def _on_kill(self, key: str, _: str) -> None:
        import ray

        self._nodes.pop(key, None)
        if (actor := self._actors.pop(key, None)) is not None:
            ray.kill(actor)

    def _call(self, key: str, method: Any, then: Callable[[str, str], None], *arguments: str) -> None:
        def finish(future: "Future[str]") -> None:  # in a thread of Ray, which must not wait for the cluster
            if (error := future.exception()) is None:
                then(key, future.result())
            else:
                Thread(target=self._explain_failure, args=(key, error), daemon=True).start()

        method.remote(*arguments).future().add_done_callback(finish)

    # Messages to the parent.

    def _place(self, key: str, location: str) -> None:
        self._nodes[key] = json.loads(location)["node"]
        self.send("placed", key, location)

    def _reply(self, key: str, reply: str) -> None:
        self.send("reply", key, reply)

    def _fail(self, key: str, kind: FailureKind, detail: str) -> None:
        self.send("failed", key, json.dumps({"kind": kind, "detail": detail}))

    def send(self, kind: str, key: str, text: str) -> None:
        """Send a message to the parent."""
        line = f"{kind} {key} {' '.join(text.splitlines())}\n".encode()
        with self._send_lock, contextlib.suppress(OSError):  # the parent has ended, and so will this process
            self._channel.sendall(line)

    # Threads.

    def _beat(self) -> None:
        while True:
            nodes = ray_cluster.list_nodes().values()
            self.send("nodes", "-", str(sum(node.is_alive for node in nodes)))
            time.sleep(HEARTBEAT_INTERVAL_S)

    def _explain_failure(self, key: str, error: BaseException) -> None:
        if key in self._actors:  # otherwise it was killed
            try:
                self._explain(key, error)
            except Exception as unexpected:
                log.exception("the failure of an actor cannot be explained")
                self._fail(key, "crash", describe_error(unexpected))

    def _explain(self, key: str, error: BaseException) -> None:
        """Tell the faults of tasks from those of nodes."""
        from ray import exceptions

        if isinstance(error, exceptions.ActorUnavailableError):
            # The connection is lost. The cluster decides about the actor, and the next call fails for that reason.
            lost = partial(self._fail, kind="interrupted", detail="the connection to the actor was lost")
            self._call(key, self._actors[key].locate, lambda key, _: lost(key))
        elif isinstance(error, exceptions.RayTaskError):
            self._fail(key, "crash", describe_error(error.cause or error))
        elif isinstance(error, exceptions.OutOfMemoryError) or NODE_OUT_OF_MEMORY in str(error):
            self._fail(key, "out_of_memory", describe_error(error))
        elif (node := self._nodes.get(key)) and ray_cluster.is_lost(node, NODE_LOSS_S):
            self._fail(key, "interrupted", f"the node {node} was lost")
        else:
            self._fail(key, "crash", describe_error(error))
