"""Connection of a process to a Ray cluster.

Ray itself ends a process whose cluster's head stays away, and calls may block until then. So a server connects in a
process of its own (`ray_driver`), which it can replace.
"""

import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from time import monotonic, sleep

from packaging.version import Version

from common.extras import require_extra
from common.version import archrank_version
from service.workers.errors import ClusterError
from service.workers.ray_node import start_node

MIN_RAY_VERSION = Version("2.54")
TOKEN_FILE = "~/.ray/auth_token"
NODE_POLL_INTERVAL_S = 0.1
LOOPBACK_ENVIRONMENT = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
"""Environment with which all processes of a cluster on one machine listen on loopback alone."""


@dataclass(frozen=True)
class ClusterNode:
    """Node of a cluster.

    Attributes:
        id: id of the node.
        address: network address.
        is_alive: False once the cluster has lost or removed it.
        resources: total resources, such as `CPU` and `GPU`.
    """

    id: str
    address: str
    is_alive: bool
    resources: Mapping[str, float]


def connect(address: str, namespace: str, *, allow_open: bool = False, join: bool = False) -> bool:
    """Connect this process to a cluster, and leave its signal handlers alone.

    Ray connects through a node of the cluster on the same machine, in the same container.

    Args:
        address: `host:port` of the head, or `auto` for the cluster of this machine.
        namespace: namespace of the actors.
        allow_open: accept a cluster without an authentication token, where whoever reaches its ports can run code.
        join: start a node without resources on this machine, which ends with this process.

    Returns:
        False if this process was connected already.

    Raises:
        MissingExtraError: Ray is not installed.
        ClusterError: Ray is too old, there is no token, or the cluster cannot be reached or has other versions.
    """
    check_installation(allow_open)
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_DEFAULT_PYTHON_VERSION_MATCH_LEVEL", "minor")
    if not allow_open:
        os.environ["RAY_AUTH_MODE"] = "token"  # read when Ray is imported
    import ray

    if ray.is_initialized():
        return False
    if join:
        start_node(address)
    with ThreadPoolExecutor(1) as executor:  # the main thread would get Ray's handler of SIGTERM
        try:
            executor.submit(_init, address, namespace).result()
        except (ConnectionError, RuntimeError, ValueError, TimeoutError, ray.exceptions.RayError) as error:
            raise ClusterError(f"no connection to the Ray cluster {address}: {' '.join(str(error).split())}") from error
    return True


def _init(address: str, namespace: str) -> None:
    import ray

    ray.init(address=address, namespace=namespace, log_to_driver=False, configure_logging=False)


def check_installation(allow_open: bool = False) -> None:
    """Check Ray's version and that there is a token. Does not import Ray.

    Raises:
        MissingExtraError: Ray is not installed.
        ClusterError: Ray is too old, or there is no token.
    """
    require_extra("ray", "ray")
    installed = version("ray")
    if Version(installed) < MIN_RAY_VERSION:
        raise ClusterError(f"Ray {installed} is installed; allowed: {MIN_RAY_VERSION} or later")
    if not (allow_open or has_token()):
        raise ClusterError(
            "no authentication token of the Ray cluster: set RAY_AUTH_TOKEN or RAY_AUTH_TOKEN_PATH, "
            "or ARCHRANK_RAY_ALLOW_OPEN=true for a cluster on a trusted network"
        )


def has_token() -> bool:
    """Return True if Ray finds an authentication token in the environment or in its file."""
    path = os.environ.get("RAY_AUTH_TOKEN_PATH") or TOKEN_FILE
    return bool(os.environ.get("RAY_AUTH_TOKEN")) or Path(path).expanduser().is_file()


def disconnect() -> None:
    """Close the connection of this process; the cluster ends the process's actors."""
    import ray

    ray.shutdown()


def list_nodes() -> dict[str, ClusterNode]:
    """Return the cluster's nodes by id, with those it has lost. Blocks while the head cannot be reached."""
    import ray

    return {
        node["NodeID"]: ClusterNode(node["NodeID"], node["NodeManagerAddress"], node["Alive"], node["Resources"])
        for node in ray.nodes()  # type: ignore[no-untyped-call]
    }


def is_lost(node: str, timeout: float) -> bool:
    """Return True if the cluster has lost or removed a node, or does within some time.

    A cluster may learn of the loss of a node after the end of the actors on it.

    Args:
        node: id of the node.
        timeout: the time in seconds.
    """
    deadline = monotonic() + timeout
    while (known := list_nodes().get(node)) is not None and known.is_alive:
        if monotonic() >= deadline:
            return False
        sleep(NODE_POLL_INTERVAL_S)
    return True


def installed_versions() -> dict[str, str]:
    """Return the versions on which scores and trainings depend, without builds such as `+cpu`."""
    from proxies import proxy_names, proxy_versions

    proxies = {f"proxy {name}": version for name, version in proxy_versions(proxy_names()).items()}
    return {"archrank": archrank_version(), "torch": Version(version("torch")).public} | proxies


def check_versions(expected: Mapping[str, str]) -> None:
    """Compare the installed versions with those of the process that sends the work.

    Args:
        expected: versions by name; others are not compared.

    Raises:
        ClusterError: versions differ.
    """
    installed = installed_versions() if expected else {}
    differences = [
        f"{name} {installed.get(name, 'missing')}, not {version}"
        for name, version in expected.items()
        if installed.get(name) != version
    ]
    if differences:
        raise ClusterError(f"versions differ on the node: {'; '.join(differences)}")
