"""Time of all proxies of an architecture at the default probe, for every built-in space and data set.

    python -m benchmarks.speed.spaces --number 20

Prints the median and the maximum over random architectures, networks built before, with all threads of PyTorch.
"""

import argparse
from collections.abc import Iterator
from time import perf_counter
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from models import BuildableSpace, get_space, require
from models.nas_bench_201.macro import DATASETS as IMAGES
from models.nas_bench_graph.datasets import DATASETS as GRAPHS
from proxies import score_batch
from proxies.memory import keep_freed_memory

SETTINGS = (
    ("gcn-nas", {}),
    *(("nas-bench-graph", {"dataset": name}) for name in GRAPHS),
    *(("nas-bench-201", {"dataset": name}) for name in IMAGES),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--number", type=int, default=20, help="random architectures of each space")
    number = parser.parse_args().number
    keep_freed_memory()
    table = Table("space", "data set", "median, s", "maximum, s")
    for name, settings in SETTINGS:
        seconds = list(times(require(get_space(name, **settings), BuildableSpace), number))
        table.add_row(name, settings.get("dataset", ""), f"{np.median(seconds):.2f}", f"{max(seconds):.2f}")
    Console().print(table)


def times(space: BuildableSpace[Any], number: int) -> Iterator[float]:
    """Yield the seconds of each architecture; a first one, which is not counted, warms up."""
    batch = space.task.batch_spec().make(space.task)
    rng = np.random.default_rng(0)
    for i in range(number + 1):
        network = space.build(space.sample(rng))
        started = perf_counter()
        score_batch(network, batch)
        if i:
            yield perf_counter() - started


if __name__ == "__main__":
    main()
