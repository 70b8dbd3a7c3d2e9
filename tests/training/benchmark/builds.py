"""Builds in processes that start at once: this one imports all modules, then forks one for each line it reads.

A line is a JSON object with `out`, `data` and `epochs`. The answers are the process id, at the head of a process group,
and its exit status.
"""

import json
import os
import sys
import traceback
from pathlib import Path
from typing import Any

from models.nas_bench_graph import NasBenchGraph
from training import Recipe
from training.benchmark import BuildSpecification, DataSource, build_benchmark
from training.benchmark.process_worker import ProcessWorker
from training.benchmark.sampling import RandomSample

ARCHITECTURES, WORKERS = 4, 2


def build(out: str, data: str, epochs: int) -> None:
    """Build a benchmark of four architectures, half of them with two seeds."""
    space = NasBenchGraph("photo")
    recipe = Recipe(epochs=epochs, batch_size=None, optimizer="adam", learning_rate=0.01, milestones=())
    build_benchmark(
        Path(out),
        BuildSpecification(space, recipe, repeat=0.5, proxies=("params", "grad_norm"), probe_epochs=(0, 2)),
        DataSource(Path(data), "random"),
        RandomSample(space),
        ARCHITECTURES,
        lambda setup: [ProcessWorker(setup, start_method="fork") for _ in range(WORKERS)],
    )


def main() -> None:
    """Serve the lines of standard input."""
    import training.trainer  # noqa: F401 - before the forks

    print("ready", flush=True)  # noqa: T201
    for line in sys.stdin:
        request: dict[str, Any] = json.loads(line)
        pid = os.fork()
        if pid == 0:
            os.setsid()
            try:
                build(**request)
            except BaseException:
                traceback.print_exc()
                os._exit(1)
            os._exit(0)
        print(pid, flush=True)  # noqa: T201
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
