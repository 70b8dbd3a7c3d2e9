"""A node of a Ray cluster on this machine, without resources: Ray connects a process through one."""

import ctypes
import os
import signal
import sys
from subprocess import DEVNULL, STDOUT, Popen
from tempfile import TemporaryFile
from time import monotonic, sleep

from service.workers.errors import ClusterError

START_TIMEOUT_S = 90.0
"""Longer than `ray start` waits for the head."""
POLL_INTERVAL_S = 0.05
STARTED = "Ray runtime started"
"""Text that `ray start` prints once the cluster knows the node."""
OBJECT_STORE_BYTES = 80 << 20
"""Least memory of a node's objects that Ray takes; none but probe batches are stored."""
MAX_OUTPUT_BYTES = 1 << 16
MAX_ERROR_CHARACTERS = 1000
PR_SET_PDEATHSIG = 1


def start_node(address: str) -> None:
    """Start a node that ends with the calling thread, and wait until it has joined the cluster.

    Args:
        address: `host:port` of the cluster's head.

    Raises:
        ClusterError: the node did not join; with the end of Ray's output.
    """
    options = (f"--address={address}", "--num-cpus=0", "--num-gpus=0", f"--object-store-memory={OBJECT_STORE_BYTES}")
    command = [sys.executable, "-m", "ray.scripts.scripts", "start", *options, "--block"]
    end = monotonic() + START_TIMEOUT_S
    with TemporaryFile() as file:
        process = Popen(command, stdin=DEVNULL, stdout=file, stderr=STDOUT, preexec_fn=_end_with_parent)
        while True:
            exit_code = process.poll()
            output = os.pread(file.fileno(), MAX_OUTPUT_BYTES, 0).decode(errors="replace")
            if STARTED in output:
                return
            if exit_code is not None or monotonic() > end:
                break
            sleep(POLL_INTERVAL_S)
    process.terminate()
    how = f"not within {START_TIMEOUT_S:g} s" if exit_code is None else f"`ray start` exited with code {exit_code}"
    lines = [line for line in output.splitlines() if line[:1].strip()]  # without the frames of a traceback
    said = " ".join(lines)[-MAX_ERROR_CHARACTERS:]
    raise ClusterError(f"this machine did not join the Ray cluster {address}, {how}: {said}")


def _end_with_parent() -> None:
    """Have the kernel send SIGTERM to this process when its parent ends, even by SIGKILL."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
