"""A worker of the Ray backend: an actor in the cluster."""

import json
import logging
from collections.abc import Callable
from dataclasses import replace
from time import monotonic

from service.workers.backend import WorkerHealth
from service.workers.worker import Worker

PLACEMENT_S = 5.0
"""Time after which an actor counts as waiting for a new node, and no longer as one that starts soon."""


class RayWorker(Worker):
    """A worker with an actor of its own.

    Args:
        index: index among the backend's workers.
        device: `cpu`, or the number of GPUs.
        send: sends a message to the process that is connected to the cluster. Raises `OSError`.
        start_timeout: time in seconds within which a placed actor must be ready.

    Attributes:
        key: key of the present actor.
    """

    def __init__(self, index: int, device: str, send: Callable[[str, str, bytes], None], start_timeout: float) -> None:
        super().__init__(index, device)
        self._send_message, self._start_timeout = send, start_timeout
        self._generation = 0
        self._pid: int | None = None
        self._node: str | None = None
        self._address: str | None = None

    @property
    def key(self) -> str:
        """Key of the present actor."""
        return f"{self.index}.{self._generation}"

    @property
    def pid(self) -> int | None:
        """See `Worker.pid`."""
        return self._pid

    @property
    def is_fresh(self) -> bool:
        """See `Worker.is_fresh`; False if the actor waits for a new node."""
        return super().is_fresh and not (self.state == "pending" and monotonic() - self.since > PLACEMENT_S)

    @property
    def is_active(self) -> bool:
        """True unless the worker was released."""
        return self.state != "stopped"

    @property
    def is_coming(self) -> bool:
        """True if an actor will be ready soon, as far as the cluster permits."""
        return self.state in ("pending", "starting", "backoff")

    def spawn(self) -> None:
        """Request an actor from the cluster, which may have to add a node for it."""
        self._generation += 1
        self.process_tasks = 0
        self.enter("pending")
        self._send_message("spawn", self.key, b"")

    def place(self, location: str) -> None:
        """Have the placed actor create its scorer.

        Args:
            location: JSON text of `ScoringActor.locate`.
        """
        place = json.loads(location)
        self._pid, self._node, self._address = place["pid"], place["node"], place["address"]
        self.enter("starting", self._start_timeout)
        self.log(logging.INFO, "spawn", "the actor was placed", node=self._node)
        self._send_message("start", self.key, b"")

    def stop(self) -> None:
        """Kill the actor, and schedule another."""
        self._kill()
        self.schedule_restart()

    def release(self) -> None:
        """Kill the actor, so that the cluster can remove its node."""
        self.log(logging.INFO, "release", "the actor is no longer needed", tasks=self.process_tasks)
        self._kill()
        self.enter("stopped")

    def wait_for_cluster(self) -> None:
        """Wait for a connection, without which there is no actor."""
        self._kill()
        self.enter("backoff")

    def close(self) -> None:
        """See `Worker.close`."""
        self.enter("stopped")

    def health(self) -> WorkerHealth:
        """See `Worker.health`."""
        return replace(super().health(), node=self._node, address=self._address)

    def _kill(self) -> None:
        if self.is_active:
            self._send_message("kill", self.key, b"")
            self._generation += 1  # messages of the actor are ignored from now on
        self._pid = self._node = self._address = None

    def _send(self, message: bytes) -> None:
        self._send_message("score", self.key, message)
