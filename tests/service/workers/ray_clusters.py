"""Local clusters of several nodes, on loopback alone and with a token.

A cluster is held by a process of its own: Ray reads its environment when it is imported, and the process of the tests
must not import it.
"""

import os
import secrets
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from service.workers.child_process import SPAWN
from service.workers.ray_backend import RayOptions
from service.workers.ray_cluster import LOOPBACK_ENVIRONMENT

SCORER = "tests.service.workers.faults:create_scorer"
HEAD = {"num_cpus": 0, "include_dashboard": False}
OBJECT_STORE_BYTES = 80 << 20
MAX_STARTS = 3


class Node(NamedTuple):
    """Node of a cluster: its id, and the process ids of its raylet and of what runs beside it."""

    id: str
    pids: list[int]

    def send(self, number: int) -> None:
        """Send a signal to the node's processes, and to the workers that they have started."""
        workers = [worker for pid in self.pids for worker in children(pid)]
        for pid in (*self.pids, *workers):
            with suppress(ProcessLookupError):
                os.kill(pid, number)


class LocalCluster:
    """Cluster of several nodes on this machine, started by another process."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.address: str = self.call("start")
        self.nodes: list[Node] = []

    def add_node(self, **resources: Any) -> Node:
        """Add a node with resources such as `num_cpus`."""
        node = Node(*self.call("add_node", object_store_memory=OBJECT_STORE_BYTES, **resources))
        self.nodes.append(node)
        return node

    def remove_node(self, node: Node, graceful: bool = False) -> None:
        """Kill the processes of a node, or have them exit."""
        self.call("remove_node", id=node.id, graceful=graceful)

    def kill_head(self) -> None:
        """Kill all processes of the head."""
        self.call("kill_head")

    def start_head(self) -> None:
        """Start another head at the same address."""
        self.call("start", gcs_server_port=int(self.address.rpartition(":")[2]))

    def call(self, name: str, **arguments: Any) -> Any:
        self._connection.send((name, arguments))
        result = self._connection.recv()
        assert not isinstance(result, str) or not result.startswith("error"), result
        return result


def skip_without_ray() -> None:
    """Skip the test where Ray is not installed, without importing it, which tests must not."""
    if find_spec("ray") is None:
        pytest.skip("Ray is not installed")


@contextmanager
def cluster(*nodes: dict[str, Any], **settings: Any) -> Iterator[LocalCluster]:
    """Start a head without CPUs, and a node for each dictionary of resources; `settings` are of Ray's `RAY_*`."""
    skip_without_ray()
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (environment() | {f"RAY_{name}": str(value) for name, value in settings.items()}).items():
            patch.setenv(name, value)
        ours, theirs = SPAWN.Pipe()
        process = SPAWN.Process(target=serve, args=(theirs,), name="cluster")
        process.start()
        theirs.close()
        try:
            started = LocalCluster(ours)
            for node in nodes:
                started.add_node(**node)
            yield started
        finally:
            ours.close()
            process.join(30)
            process.kill()


def environment() -> dict[str, str]:
    """Environment of a cluster's processes, with a token."""
    return {
        **LOOPBACK_ENVIRONMENT,
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": secrets.token_hex(16),
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_gcs_rpc_server_connect_timeout_s": "60",  # on a busy machine
    }


def ray_options(cluster: LocalCluster, **options: Any) -> RayOptions:
    """Options of a backend with faulty workers."""
    return RayOptions(**{"address": cluster.address, "scorer": SCORER} | options)


def children(pid: int) -> list[int]:
    """Process ids of the children of a process."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            if int(path.read_text().rpartition(")")[2].split()[1]) == pid:
                found.append(int(path.parent.name))
    return found


def serve(connection: Connection) -> None:
    """Hold a cluster until the connection is closed. Runs in a process of its own."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    from ray.cluster_utils import Cluster

    cluster: Any = Cluster()
    nodes: dict[str, Any] = {}

    def add(**arguments: Any) -> Any:
        for _ in range(MAX_STARTS - 1):
            with suppress(Exception):  # a busy machine takes longer than Ray waits
                return cluster.add_node(**arguments)
        return cluster.add_node(**arguments)

    def pids(node: Any) -> list[int]:
        return [info.process.pid for group in node.all_processes.values() for info in group]

    def call(name: str, arguments: dict[str, Any]) -> Any:
        match name:
            case "start":
                add(**HEAD, **arguments)
                return cluster.address
            case "add_node":
                node = add(**arguments)
                nodes[node.node_id] = node
                return node.node_id, pids(node)
            case "remove_node":
                cluster.remove_node(nodes.pop(arguments["id"]), allow_graceful=arguments["graceful"])
            case "kill_head":
                cluster.head_node.kill_all_processes(check_alive=False, allow_graceful=False)
                cluster.head_node = None
        return None

    with suppress(EOFError):
        while True:
            name, arguments = connection.recv()
            try:
                connection.send(call(name, arguments))
            except Exception as error:
                connection.send(f"error: {error!r}")
    cluster.shutdown()
