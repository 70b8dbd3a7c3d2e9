"""Runs each part in a process of its own: one that crashes, hangs or loses its GPU takes no other along."""

import math
import os
import signal
import traceback
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from importlib import import_module
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from time import monotonic

from benchmarks.gpu.checks import Check, Options
from service.workers.worker_main import exit_with_parent

PARTS = {
    "tests": ("benchmarks.gpu.suite", 75),
    "agreement": ("benchmarks.gpu.agreement", 110),
    "times": ("benchmarks.gpu.times", 130),
    "faults": ("benchmarks.gpu.faults", 90),
    "http": ("benchmarks.gpu.serving", 75),
    "scores": ("benchmarks.gpu.population", 460),
}
"""Module of each part, whose `run` yields its checks, and the seconds that it may take at most."""
TOTAL = 460
"""Seconds for all parts together; with what the starts of processes take, eight minutes."""
PATIENCE = 10
"""Factor by which time limits are longer in a dry run on a CPU, which may be busy."""
SPAWN = get_context("spawn")


def run_parts(parts: list[str], options: Options, total: float = TOTAL) -> Iterator[tuple[str, Check]]:
    """Each result as it comes, with its part's name."""
    factor = 1 if options.device == "cuda" else PATIENCE
    end = monotonic() + factor * total
    for part in parts:
        module, seconds = PARTS[part]
        yield from ((part, check) for check in run_part(module, options, min(factor * seconds, end - monotonic())))


def run_part(module: str, options: Options, seconds: float) -> Iterator[Check]:
    """The results of one part. However it ends, that is one too."""
    if seconds <= 0:
        yield Check("the part", "fail", "no time was left for it", "run")
        return
    end = monotonic() + seconds
    ours, theirs = SPAWN.Pipe(duplex=False)
    process = SPAWN.Process(target=_enter, args=(module, replace(options, deadline=end), theirs))
    process.start()
    theirs.close()
    try:
        while ours.poll(max(0.0, end - monotonic())):
            try:
                check = ours.recv()
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


def _enter(module: str, options: Options, line: Connection) -> None:
    """In the process: send each result, and an exception as one."""
    os.setsid()  # so that it can be killed with all that it starts
    exit_with_parent()
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # as `service.workers.worker_main` has it
    try:
        for check in import_module(module).run(options):
            line.send(check)
    except Exception as error:
        traceback.print_exc()
        line.send(Check("the part", "fail", f"{type(error).__name__}: {error}".splitlines()[0], "no exception"))


def _end(process: BaseProcess) -> None:
    """Kill the process, and what it has started and left."""
    if process.pid is not None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    process.kill()
    process.join()
