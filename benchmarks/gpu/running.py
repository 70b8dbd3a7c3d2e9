"""Each part in its own process, so that a crash, a hang or a lost GPU leaves the other parts alone."""

import math
import os
import signal
import traceback
from collections.abc import Generator, Iterator
from contextlib import suppress
from dataclasses import replace
from importlib import import_module
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from time import monotonic

from benchmarks.gpu.checks import Check, Options
from common.processes import exit_with_parent

PARTS = {
    "tests": ("benchmarks.gpu.suite", 90),
    "agreement": ("benchmarks.gpu.agreement", 110),
    "spaces": ("benchmarks.gpu.spaces", 60),
    "times": ("benchmarks.gpu.times", 110),
    "sharing": ("benchmarks.gpu.sharing", 180),
    "stacks": ("benchmarks.gpu.stacks", 240),
    "faults": ("benchmarks.gpu.faults", 90),
    "http": ("benchmarks.gpu.serving", 110),
    "training": ("benchmarks.gpu.training", 60),
    "scores": ("benchmarks.gpu.benchmark_scores", 460),
}
"""Module of each part, whose `run` yields its checks, and its time limit in seconds."""
TOTAL_TIMEOUT_S = 880
"""Time limit of all parts together; with the starts of processes, fifteen minutes."""
CPU_TIMEOUT_FACTOR = 10
"""Factor on time limits in a dry run on a CPU, which may be busy."""
SPAWN = get_context("spawn")


def run_parts(parts: list[str], options: Options, total: float = TOTAL_TIMEOUT_S) -> Iterator[tuple[str, Check]]:
    """Run parts, and yield each result with the name of its part."""
    factor = 1 if options.device == "cuda" else CPU_TIMEOUT_FACTOR
    end = monotonic() + factor * total
    for part in parts:
        module, seconds = PARTS[part]
        yield from ((part, check) for check in run_part(module, options, min(factor * seconds, end - monotonic())))


def run_part(module: str, options: Options, seconds: float) -> Generator[Check, None, None]:
    """Run one part, and yield its results; any failure to end is a result, too."""
    if seconds <= 0:
        yield Check("the part", "fail", "no time was left for it", "run")
        return
    end = monotonic() + seconds
    receiver, sender = SPAWN.Pipe(duplex=False)
    process = SPAWN.Process(target=_enter, args=(module, replace(options, deadline=end), sender))
    process.start()
    sender.close()
    try:
        while receiver.poll(max(0.0, end - monotonic())):
            try:
                check = receiver.recv()
            except EOFError:
                break
            yield check
        else:
            yield Check("the part", "fail", f"took longer than {math.ceil(seconds)} s", "ends in time")
            return
        process.join()
        if process.exitcode != 0:
            yield Check("the part", "fail", f"its process ended with exit code {process.exitcode}", "ends well")
    finally:
        _end(process)


def _enter(module: str, options: Options, sender: Connection) -> None:
    """Run a part in its process: send each result, and an exception as one."""
    os.setsid()  # so that its process group can be killed
    exit_with_parent()
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # as in `service.workers.worker_main`
    try:
        for check in import_module(module).run(options):
            sender.send(check)
    except Exception as error:
        traceback.print_exc()
        sender.send(Check("the part", "fail", f"{type(error).__name__}: {error}".splitlines()[0], "no exception"))


def _end(process: BaseProcess) -> None:
    """Kill the process and its descendants."""
    if process.pid is not None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    process.kill()
    process.join()
