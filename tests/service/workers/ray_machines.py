"""The head of a cluster, and a server on a machine that is no node of it. Runs in namespaces of its own.

    unshare --user --map-root-user --net --pid --fork --mount-proc python -m tests.service.workers.ray_machines FOLDER

The network has one address beside loopback and reaches nothing. Prints a JSON object about the server.
"""

import json
import os
import secrets
import subprocess
import sys
from functools import partial
from pathlib import Path
from unittest import mock

MACHINE = ("unshare", "--user", "--map-root-user", "--pid", "--fork", "--mount-proc", "--kill-child")
ADDRESS = "192.0.2.1"
"""An address for documentation, RFC 5737."""
PORTS = (6379, 6380, 6381)
WRONG_TOKEN = "0" * 32


def main(folder: str) -> None:
    """Start the head, and the server in another namespace of processes."""
    for words in (f"addr add {ADDRESS}/32 dev lo", "link set lo up", "route add default dev lo"):
        subprocess.run(["ip", *words.split()], check=True)
    os.environ.update(RAY_AUTH_MODE="token", RAY_AUTH_TOKEN=secrets.token_hex(16), RAY_USAGE_STATS_ENABLED="0")
    address = f"{ADDRESS}:{next(filter(partial(start_head, folder), PORTS))}"
    subprocess.run([*MACHINE, sys.executable, "-m", __spec__.name, folder, address], check=True)


def start_head(folder: str, port: int) -> bool:
    """Return True if it has started, which takes too long on a busy machine; it ends with the namespace."""
    options = [f"--node-ip-address={ADDRESS}", f"--port={port}", f"--temp-dir={folder}", "--include-dashboard=false"]
    resources = ["--num-cpus=1", "--object-store-memory=83886080"]
    command = [sys.executable, "-m", "ray.scripts.scripts", "start", "--head", *options, *resources]
    return subprocess.run(command, stdout=subprocess.DEVNULL).returncode == 0


def serve(address: str) -> None:
    """Try to join with a wrong token, then join and score."""
    # Not above, as processes that are spawned import this module.
    from service.workers.ray_backend import RayBackend, RayOptions
    from tests.service.workers.conftest import faulty_task, wait_until
    from tests.service.workers.ray_clusters import SCORER

    mock.patch("service.workers.ray_backend.installed_versions", dict).start()  # the actors import no PyTorch
    options = RayOptions(address=address, join=True, scorer=SCORER)
    token, os.environ["RAY_AUTH_TOKEN"] = os.environ["RAY_AUTH_TOKEN"], WRONG_TOKEN
    refused = RayBackend({}, options)
    refused.start()
    wait_until(lambda: refused.state == "unhealthy")
    error = refused.health().last_error
    refused.stop()
    os.environ["RAY_AUTH_TOKEN"] = token
    backend = RayBackend({}, options)
    backend.start()
    wait_until(lambda: backend.ready)
    outcome = backend.submit(faulty_task()).result()
    nodes = raylets()
    backend.stop()
    wait_until(lambda: raylets() == 0)
    json.dump({"error": error, "scored": outcome.scores is not None, "nodes": nodes}, sys.stdout)


def raylets() -> int:
    """Return the number of nodes on this machine."""
    return sum(path.read_bytes().find(b"raylet_socket_name=") >= 0 for path in Path("/proc").glob("[0-9]*/cmdline"))


if __name__ == "__main__":
    serve(*sys.argv[2:]) if sys.argv[2:] else main(sys.argv[1])
