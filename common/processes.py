"""Processes of programs, and their children."""

import atexit
import gc
import os
import signal
from multiprocessing import connection, parent_process
from threading import Thread

YOUNG_OBJECTS = 50_000
"""New objects after which garbage is collected. The interpreter's own limit, 700, costs a fifth of the time of imports,
and a third of that of reading a request of 1,000 architectures: what both make lives on."""


def collect_rarely() -> None:
    """Collect garbage less often, and not at the exit, which would traverse what all modules hold.

    For programs, before their heavy imports. Libraries leave the collector as it is.
    """
    gc.set_threshold(YOUNG_OBJECTS)
    atexit.register(gc.freeze)


def exit_with_parent() -> None:
    """Exit when the parent process ends, even by SIGKILL, instead of keeping a core busy."""

    def wait_for_parent() -> None:
        parent = parent_process()
        if parent is not None:
            connection.wait([parent.sentinel])
            os._exit(1)

    Thread(target=wait_for_parent, name="exit with parent", daemon=True).start()


def describe_exit(code: int | None) -> str:
    """Describe how a process ended.

    Args:
        code: its exit code, minus the number of the signal that killed it; None if it has not ended.
    """
    if code is None:
        return "the process was killed, but has not ended yet"
    if code >= 0:
        return f"the process exited with code {code}"
    name = signal.Signals(-code).name if -code in set(signal.Signals) else str(-code)
    return f"the process was killed by {name}"
