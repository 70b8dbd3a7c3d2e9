"""Workers end with their parent."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.service.workers.conftest import wait_until
from tests.service.workers.test_chaos import FAULTS, is_alive
from tests.waiting import PATIENCE_S

PARENT = """
import sys, time
from service.workers.process_backend import ProcessBackend, WorkerOptions
from service.workers.backend import Task

if __name__ == "__main__":
    backend = ProcessBackend({}, WorkerOptions(num_workers=2, entry_point="FAULTS:run"))
    backend.start()
    backend.submit(Task("t", "", {}, {"fault": "hang"}, "", 0, 1, []))
    while {worker.state for worker in backend.health().workers} != {"busy", "idle"}:
        time.sleep(0.01)
    print(*(worker.pid for worker in backend.health().workers), flush=True)
    if sys.argv[1] == "sleep":
        time.sleep(600)
""".replace("FAULTS", FAULTS)


@pytest.mark.parametrize("end", ["kill", "return"])
def test_no_process_outlives_its_parent(end: str, tmp_path: Path) -> None:
    """The parent is killed with SIGKILL, or exits without stopping the backend."""
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
        wait_until(lambda: not any(is_alive(pid) for pid in children))
        assert parent.wait(PATIENCE_S) == (-signal.SIGKILL if end == "kill" else 0)
