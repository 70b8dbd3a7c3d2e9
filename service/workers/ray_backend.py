"""Backend that scores in actors of a Ray cluster, whose nodes come and go.

A process of its own is connected to the cluster (`ray_driver`). It is replaced if the cluster's head cannot be reached:
tasks wait for another connection for a while, and are interrupted then.
"""

import json
import logging
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from socket import socket
from time import monotonic

from common.errors import InputError
from models import ProbeBatch
from service.workers.child_process import ChildProcess, InvalidReplyError
from service.workers.pool_backend import PoolBackend
from service.workers.ray_cluster import check_installation, installed_versions
from service.workers.ray_worker import RayWorker
from service.workers.task_scorer import encode_batches
from service.workers.worker import MAX_BACKOFF_S, MIN_BACKOFF_S, Reply

log = logging.getLogger(__name__)
MAX_LINE_BYTES = 1 << 24
CONNECT_TIMEOUT_S = 120.0
DISCONNECT_TIMEOUT_S = 5.0


@dataclass(frozen=True)
class RayOptions:
    """Options of a `RayBackend`. Times are in seconds.

    Attributes:
        address: `host:port` of the cluster's head, or `auto` for the cluster of this machine.
        namespace: namespace of the actors.
        allow_open: accept a cluster without an authentication token.
        join: start a node without resources on this machine, which is not a node of the cluster.
        min_workers: number of actors that are kept without work.
        max_workers: number of actors under load.
        num_threads: CPUs that an actor reserves, and its PyTorch threads.
        num_gpus: GPUs that an actor reserves; actors share a GPU if it is below 1, without a limit of their memory.
        task_timeout: maximum time of one attempt at a task.
        score_timeout: maximum time of a proxy, which fails alone; no limit if None.
        start_timeout: maximum time from the placement of an actor until it is ready.
        scale_up_delay: time that tasks wait before further actors are requested.
        idle_timeout: time without work after which an actor is released.
        head_timeout: time without an answer of the cluster's head after which the connection counts as lost.
        outage_timeout: time without a connection after which tasks are interrupted.
        max_tasks_per_worker: number of tasks after which an actor is replaced.
        max_memory_bytes: resident memory after a task above which an actor is replaced; no limit if None.
        scorer: `module:function` that creates the scorer in an actor.
        log: style and level of the actors' logs, see `logs.setup`; no logs if None.
    """

    address: str = "auto"
    namespace: str = "archrank"
    allow_open: bool = False
    join: bool = False
    min_workers: int = 1
    max_workers: int = 1
    num_threads: int = 1
    num_gpus: float = 0.0
    task_timeout: float = 120.0
    score_timeout: float | None = None
    start_timeout: float = 120.0
    scale_up_delay: float = 5.0
    idle_timeout: float = 300.0
    head_timeout: float = 15.0
    outage_timeout: float = 30.0
    max_tasks_per_worker: int = 1000
    max_memory_bytes: int | None = None
    scorer: str = "service.workers.worker_main:create_scorer"
    log: tuple[str, str] | None = None

    def __post_init__(self) -> None:
        positive = ("max_workers", "num_threads", "max_tasks_per_worker", "max_memory_bytes", "task_timeout")
        for name in (*positive, "score_timeout", "start_timeout", "idle_timeout", "head_timeout"):
            if (value := getattr(self, name)) is not None and not value > 0:
                raise InputError(name, value, "above 0")
        for name in ("num_gpus", "scale_up_delay", "outage_timeout"):
            if not (value := getattr(self, name)) >= 0:
                raise InputError(name, value, "0 or above")
        if self.num_gpus > 1 and self.num_gpus != int(self.num_gpus):
            raise InputError("num_gpus", self.num_gpus, "a fraction of one GPU, or a whole number")
        if self.join and self.address == "auto":
            raise InputError("address", self.address, "host:port of the cluster that this machine joins")
        if not 0 <= self.min_workers <= self.max_workers:
            raise InputError("min_workers", self.min_workers, f"from 0 to max_workers, {self.max_workers}")


class RayBackend(PoolBackend[RayWorker]):
    """Backend with actors in a Ray cluster. The present process does not import Ray.

    Args:
        batches: probe batches by fingerprint, sent to every actor when it starts; tasks specify all others.
        options: options of the cluster and the actors.

    Raises:
        MissingExtraError: Ray is not installed.
        ClusterError: Ray is too old, or there is no authentication token.
    """

    def __init__(self, batches: Mapping[str, ProbeBatch], options: RayOptions | None = None) -> None:
        self._options = options = options or RayOptions()
        check_installation(options.allow_open)
        actor = {
            "num_threads": options.num_threads,
            "num_gpus": options.num_gpus,
            "score_timeout": options.score_timeout,
            "log": options.log,
            "probe_batches": encode_batches(batches),
            "scorer": options.scorer,
            "versions": installed_versions(),
        }
        self._driver_setup = json.dumps(
            {
                "address": options.address,
                "namespace": options.namespace,
                "allow_open": options.allow_open,
                "join": options.join,
                "num_cpus": options.num_threads,
                "num_gpus": options.num_gpus,
                "actor": json.dumps(actor),
                "log": options.log,
            }
        )
        device = f"{options.num_gpus:g} GPU" if options.num_gpus else "cpu"
        workers = [RayWorker(index, device, self._send, options.start_timeout) for index in range(options.max_workers)]
        super().__init__(
            workers,
            options.task_timeout,
            options.start_timeout,
            options.max_tasks_per_worker,
            options.max_memory_bytes,
        )
        self._driver: ChildProcess | None = None
        self._is_connected = False
        self._driver_deadline = monotonic()
        self._failed_connections = 0
        self._outage_reason: str | None = None
        self._outage_since = monotonic()

    def _start_workers(self) -> None:
        for worker in self._workers[: self._options.min_workers]:
            worker.enter("backoff")
        self._start_driver()

    def _handles(self) -> list[socket | int]:
        if self._driver is None:
            return []
        channel = self._driver.channel
        return [self._driver.sentinel, *([] if channel is None else [channel])]

    def _deadlines(self) -> Iterator[float]:
        yield from super()._deadlines()
        yield self._driver_deadline
        if self._outage_reason is not None and self._queue:
            yield self._outage_since + self._options.outage_timeout

    # The connection.

    def _start_driver(self) -> None:
        try:
            self._driver = ChildProcess(
                "ray driver", "service.workers.ray_driver:run", "", self._driver_setup, MAX_LINE_BYTES
            )
        except OSError as error:
            self._lose_driver(f"the process could not be spawned: {error}")
        else:
            self._driver_deadline = monotonic() + CONNECT_TIMEOUT_S

    def _lose_driver(self, reason: str) -> None:
        """End the connection, and have tasks wait for another."""
        log.error("no connection to the Ray cluster: %s", reason)
        driver, self._driver, self._is_connected = self._driver, None, False
        if driver is not None:
            driver.kill()
            driver.reap()
        if self._outage_reason is None:
            self._outage_since = monotonic()
        self._outage_reason = reason
        for worker in self._workers:
            if worker.pending is not None:
                self._fail(worker, "interrupted", reason)
            if worker.is_active:
                worker.wait_for_cluster()
        backoff = min(MIN_BACKOFF_S * 2.0**self._failed_connections, MAX_BACKOFF_S)
        self._failed_connections += 1
        self._driver_deadline = monotonic() + backoff

    def _handle_events(self, ready: Collection[object]) -> None:
        driver = self._driver
        if driver is not None and driver.channel in ready:
            try:
                for line in driver.receive():
                    self._handle_message(*line.decode().split(" ", 2))
            except (InvalidReplyError, ValueError, TypeError) as error:
                self._lose_driver(f"the connected process sent an invalid message: {error}")
        if (driver := self._driver) is not None and driver.sentinel in ready:
            self._driver = None
            self._lose_driver(f"no connected process: {driver.reap()}")
        if self._driver_deadline <= monotonic():
            if self._driver is None:
                self._start_driver()
            elif self._is_connected:
                self._lose_driver(f"the head has not answered for {self._options.head_timeout:g} s")
            else:
                self._lose_driver(f"no connection within {CONNECT_TIMEOUT_S:g} s")

    def _handle_message(self, kind: str, key: str, text: str) -> None:
        if kind == "error":
            self._lose_driver(text)
        elif kind in ("connected", "nodes"):
            self._driver_deadline = monotonic() + self._options.head_timeout
            if kind == "connected":
                self._handle_connection()
        else:
            worker = self._workers[int(key.partition(".")[0])]
            if worker.key == key:  # otherwise the actor was killed
                self._handle_actor_message(worker, kind, text)

    def _handle_connection(self) -> None:
        self._is_connected, self._outage_reason, self._failed_connections = True, None, 0
        self._has_been_ready = self._has_been_ready or self._options.min_workers == 0
        for worker in self._workers:
            if worker.is_active:
                worker.spawn()

    def _handle_actor_message(self, worker: RayWorker, kind: str, text: str) -> None:
        if kind == "placed":
            worker.place(text)
        elif kind == "reply":
            try:
                self._handle_reply(worker, Reply.from_json(text))
            except InvalidReplyError as error:
                self._fail(worker, "crash", str(error))
        else:
            failure = json.loads(text)
            self._node_losses += failure["kind"] == "interrupted"
            self._out_of_memory += failure["kind"] == "out_of_memory"
            self._fail(worker, failure["kind"], failure["detail"])

    def _send(self, kind: str, key: str, message: bytes) -> None:
        """Send a message to the connected process. One that does not accept it is replaced."""
        if self._driver is None:
            return
        try:
            self._driver.send(f"{kind} {key} ".encode() + message)
        except OSError:
            self._driver.kill()

    # Load.

    def _adjust(self) -> None:
        if not self._is_connected or self._closed:
            return
        options, now = self._options, monotonic()
        active = [worker for worker in self._workers if worker.is_active]
        free = [worker for worker in self._workers if not worker.is_active]
        missing = len(self._queue) - sum(worker.is_coming for worker in active)
        if missing > 0 and now - min(pending.since for pending in self._queue) >= options.scale_up_delay:
            for worker in free[:missing]:
                worker.spawn()
        if not self._queue:
            expired = [
                worker
                for worker in reversed(active)
                if worker.state in ("idle", "pending") and now - worker.since >= options.idle_timeout
            ]
            for worker in expired[: max(0, len(active) - options.min_workers)]:
                worker.release()

    def _max_tasks(self) -> int:
        """Return up to twice the number of ready workers, so that tasks which wait have further ones requested."""
        ready = sum(worker.state in ("idle", "busy") for worker in self._workers)
        unhealthy = sum(not worker.is_healthy for worker in self._workers)
        return min(self._options.max_workers - unhealthy, max(self._options.min_workers - unhealthy, 2 * ready, 1))

    def _outage(self) -> str | None:
        if self._outage_reason is not None:
            return self._outage_reason
        active = [worker for worker in self._workers if worker.is_active]
        if not active or any(worker.is_healthy for worker in active):
            return None
        return self._last_error() or "no actor can be started"

    def _abandon_in_outage(self, reason: str) -> None:
        if self._outage_reason is None or monotonic() - self._outage_since >= self._options.outage_timeout:
            super()._abandon_in_outage(reason)

    def _close_workers(self) -> None:
        super()._close_workers()
        if self._driver is not None:
            self._driver.close()  # it ends the actors, and then itself
            self._driver.join(DISCONNECT_TIMEOUT_S)
            self._driver.kill()
            self._driver.reap()
            self._driver = None
