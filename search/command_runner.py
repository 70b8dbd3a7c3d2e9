"""Runner of one training command: enforces its time-out, and stores its exit code.

    python -I command_runner.py FOLDER

A process of its own, with the standard library alone, so that a training outlives the search that started it. It holds
a lock on `FOLDER/lock`, which contains its process id and the process group of the command, and ends by writing
`exit.json`. SIGTERM kills the command; then there is no `exit.json`.
"""

import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

TASK, EXIT, LOCK = "task.json", "exit.json", "lock"
STDOUT, STDERR = "stdout.txt", "stderr.txt"


def is_locked(folder: Path) -> bool:
    """Return true if a runner is at work in the folder."""
    if not (folder / LOCK).exists():
        return False
    with (folder / LOCK).open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def run(folder: Path) -> None:
    """Run the command of `task.json`; do nothing if another runner does, or if it has ended."""
    with (folder / LOCK).open("a+") as lock:
        for attempt in range(20):  # `is_locked` holds a shared lock for a moment
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if attempt == 19:
                    return
                time.sleep(0.01)
        if (folder / EXIT).exists():
            return
        lock.truncate(0)
        task = json.loads((folder / TASK).read_bytes())
        with (folder / STDOUT).open("wb") as stdout, (folder / STDERR).open("wb") as stderr:
            _run_command(folder, task, lock, stdout, stderr)


def _run_command(folder: Path, task: dict[str, Any], lock: Any, stdout: Any, stderr: Any) -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
    started = time.monotonic()
    process = subprocess.Popen(
        ["/bin/sh", "-c", task["command"]],
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=stderr,
        env={**os.environ, **task["environment"]},
        start_new_session=True,
        preexec_fn=lambda: signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM]),
    )

    def stop(*_: Any) -> None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        lock.truncate(0)
        os._exit(1)

    signal.signal(signal.SIGTERM, stop)
    lock.write(f"{os.getpid()} {process.pid}")
    lock.flush()
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])
    error = None
    try:
        code = process.wait(task["timeout"])
        if code:
            error = f"exit code {code}" if code > 0 else f"killed by signal {-code}"
    except subprocess.TimeoutExpired:
        error = f"time-out after {task['timeout']:g} s"
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    _write(folder / EXIT, {"error": error, "seconds": round(time.monotonic() - started, 3)})
    lock.truncate(0)


def _write(path: Path, content: dict[str, Any]) -> None:
    partial = path.with_suffix(".partial")
    with partial.open("w") as file:
        json.dump(content, file)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


if __name__ == "__main__":
    run(Path(sys.argv[1]))
