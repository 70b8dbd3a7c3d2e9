"""Processes end with their parent, however that ends."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.service.workers.conftest import report, wait_until
from tests.service.workers.test_chaos import FAULTS, alive

PARENT = """
import sys, time
from service.workers.processes import ProcessBackend, ProcessOptions
from service.workers.base import Task

if __name__ == "__main__":
    backend = ProcessBackend({}, ProcessOptions(processes=2, entry="FAULTS:main"))
    backend.start()
    backend.submit(Task("t", "", {}, {"deed": "hang"}, "", 0, 1, []))
    while {process.state for process in backend.health().processes} != {"busy", "idle"}:
        time.sleep(0.01)
    print(*(process.pid for process in backend.health().processes), flush=True)
    if sys.argv[1] == "sleep":
        time.sleep(600)
""".replace("FAULTS", FAULTS)


@pytest.mark.parametrize("end", ["kill", "return"])
def test_no_process_outlives_its_parent(end: str, tmp_path: Path) -> None:
    """Killed with SIGKILL, or at its end without a word to the backend."""
    script = tmp_path / "parent.py"
    script.write_text(PARENT)
    command = [sys.executable, str(script), "sleep" if end == "kill" else "return"]
    environment = {"PYTHONPATH": str(Path(__file__).parents[3]), "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as parent:
        assert parent.stdout is not None
        children = [int(pid) for pid in parent.stdout.readline().split()]
        assert len(children) == 2
        if end == "kill":
            parent.send_signal(signal.SIGKILL)
        began = time.monotonic()
        wait_until(lambda: not any(alive(pid) for pid in children))
        report(f"{end}: the processes were gone after {time.monotonic() - began:.2f} s")
        assert parent.wait(60) == (-signal.SIGKILL if end == "kill" else 0)
