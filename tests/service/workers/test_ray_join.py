"""A server joins a cluster from a machine that is no node of it, over an address other than loopback."""

import json
import os
import subprocess
import sys
from shutil import which
from tempfile import TemporaryDirectory

import pytest

from tests.conftest import ROOT
from tests.service.workers.ray_clusters import skip_without_ray
from tests.service.workers.ray_machines import MACHINE
from tests.waiting import PATIENCE_S

NETWORK = (*MACHINE, "--net")


@pytest.fixture
def namespaces() -> None:
    skip_without_ray()
    for program in ("unshare", "ip"):
        if which(program) is None:
            pytest.skip(f"{program} is not installed")
    tried = subprocess.run([*NETWORK, "ip", "link"], capture_output=True, text=True)
    if tried.returncode:
        pytest.skip(f"namespaces are not permitted: {tried.stderr.strip()}")


@pytest.mark.usefixtures("namespaces")
def test_server_joins_and_reports_why_it_cannot() -> None:
    with TemporaryDirectory(prefix="ray", dir="/tmp") as folder:  # a short path, as those of sockets are limited
        command = [*NETWORK, sys.executable, "-m", "tests.service.workers.ray_machines", folder]
        env = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}  # of other tests
        process = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=PATIENCE_S)
    assert process.returncode == 0, process.stderr
    result = json.loads(process.stdout)
    assert result["error"].startswith("this machine did not join the Ray cluster 192.0.2.1:")
    assert "InvalidAuthToken" in result["error"]
    assert (result["scored"], result["nodes"]) == (True, 1)
