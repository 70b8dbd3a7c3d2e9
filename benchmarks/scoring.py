"""What all proxies of one architecture cost, by depth, at the default fidelity.

    python benchmarks/scoring.py --threads 2

Times are medians over random architectures; the ratio to one forward pass of the batch is from the same run.
"""

import argparse
from time import perf_counter

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from models import get_space
from models.batches import BatchSpec
from proxies import proxy_names, score


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--per-depth", type=int, default=7, help="architectures of each depth")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    space = get_space("gcn-nas")
    batch = BatchSpec().make(space)
    table = Table("layers", "all proxies, s", "slowest, s", "forward pass, s", "ratio", *proxy_names())
    for depth in (4, 6, 8, 10):
        totals, forwards, shares = [], [], []
        for i in range(args.per_depth):
            network = space.build(space.sample(np.random.default_rng([depth, i]), depth=depth))
            with torch.no_grad():
                network(batch.x)
                started = perf_counter()
                network(batch.x)
            forwards.append(perf_counter() - started)
            started = perf_counter()
            scores = score(network, batch.x, batch.y)
            totals.append(perf_counter() - started)
            shares.append([scores[name].seconds for name in proxy_names()])
        total, forward = np.median(totals), np.median(forwards)
        numbers = (total, max(totals), forward, total / forward, *np.median(shares, axis=0))
        table.add_row(str(depth), *(f"{number:.3g}" for number in numbers))
    Console(width=200).print(table)


if __name__ == "__main__":
    main()
