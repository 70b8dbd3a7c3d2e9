"""Discrete-event simulation of servers, a database and workers as a closed network of queues."""

import heapq
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True)
class Costs:
    """Time that an architecture takes, in seconds.

    Attributes:
        server: CPU time of the server, one thread at a time.
        database: CPU time of PostgreSQL.
        lock: time for which the row of its job is locked.
    """

    server: float
    database: float
    lock: float


@dataclass(frozen=True)
class System:
    """Parameters of a simulation.

    Attributes:
        costs: times of an architecture.
        task_seconds: time on a worker.
        workers: number of workers of all servers.
        servers: number of servers.
        held: number of architectures that a server has claimed at a time; enough for its workers if None.
        jobs: number of jobs that are processed at a time.
        database_cores: number of cores of PostgreSQL.
    """

    costs: Costs
    task_seconds: float
    workers: int
    servers: int = 1
    held: int | None = None
    jobs: int = 1
    database_cores: int = 4

    @property
    def bound(self) -> float:
        """Architectures per second that no resource can exceed: the plan on paper."""
        costs = self.costs
        return min(
            self.workers / self.task_seconds,
            self.servers / costs.server,
            self.database_cores / costs.database,
            self.jobs / costs.lock,
        )


@dataclass
class _Station:
    free: int
    queue: deque[int] = field(default_factory=deque)


def simulate(system: System, architectures: int, seed: int = 0) -> float:
    """Return the seconds that architectures take, from the first claim to the last result.

    An architecture passes the database, the lock of its job, its server, a worker, its server, the lock and the
    database; half of each cost falls before the task. Costs are exponentially distributed, the time on a worker is
    fixed.
    """
    rng = np.random.default_rng(seed)
    held = system.held or max(2, 2 * system.workers // system.servers)
    stations = [_Station(system.database_cores), *(_Station(1) for _ in range(system.jobs))]
    first_server = len(stations)
    stations += [_Station(1) for _ in range(system.servers)]
    first_worker = len(stations)
    shares = [len(part) for part in np.array_split(np.arange(system.workers), system.servers)]
    stations += [_Station(share) for share in shares]
    costs = system.costs

    def route(token: int) -> list[tuple[int, float]]:
        """Stations of an architecture, and the time at each."""
        server, job = token % system.servers, 1 + token % system.jobs
        ends = [(0, costs.database / 2), (job, costs.lock / 2), (first_server + server, costs.server / 2)]
        drawn = [(station, float(rng.exponential(mean))) for station, mean in (*ends, *reversed(ends))]
        return [*drawn[:3], (first_worker + server, system.task_seconds), *drawn[3:]]

    routes: dict[int, list[tuple[int, float]]] = {}
    waiting = [deque(range(server, architectures, system.servers)) for server in range(system.servers)]
    events: list[tuple[float, int]] = []  # heap of the ends of services
    now = 0.0

    def arrive(token: int) -> None:
        station = stations[routes[token][0][0]]
        if station.free:
            station.free -= 1
            heapq.heappush(events, (now + routes[token][0][1], token))
        else:
            station.queue.append(token)

    def claim(server: int) -> None:
        if waiting[server]:
            token = waiting[server].popleft()
            routes[token] = route(token)
            arrive(token)

    for server in range(system.servers):
        for _ in range(held):
            claim(server)
    while events:
        now, token = heapq.heappop(events)
        station = stations[routes[token].pop(0)[0]]
        if station.queue:
            following = station.queue.popleft()
            heapq.heappush(events, (now + routes[following][0][1], following))
        else:
            station.free += 1
        if routes[token]:
            arrive(token)
        else:
            del routes[token]
            claim(token % system.servers)
    return now


def rates(systems: Sequence[System], architectures: int) -> list[float]:
    """Return the simulated architectures per second."""
    return [architectures / simulate(system, architectures) for system in systems]
