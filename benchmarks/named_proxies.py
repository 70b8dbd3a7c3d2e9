"""Time of all proxies relative to the default ones, at the default fidelity of each search space.

    python -m benchmarks.named_proxies [--write]

For each architecture: processor time with the proxies that are computed only where they are named by that without them,
the least of alternating rounds in one process with one thread; then the median and the largest of the architectures.
`--write` renews the table of docs/performance.md.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from time import process_time
from typing import Any

import numpy as np
import torch

from benchmarks.markdown import insert_tables, markdown
from models import get_space
from proxies import proxy_names, proxy_versions, score_batch

PAGE = Path(__file__).resolve().parents[1] / "docs" / "performance.md"
CASES: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "`gcn-nas`, 10 layers": ("gcn-nas", {}, {"depth": 10}),
    "`gcn-nas`, 4 layers": ("gcn-nas", {}, {"depth": 4}),
    "`nas-bench-201`": ("nas-bench-201", {}, {}),
    "`nas-bench-graph`, Cora": ("nas-bench-graph", {"dataset": "cora"}, {}),
    "`nas-bench-graph`, proteins": ("nas-bench-graph", {"dataset": "proteins"}, {}),
}
"""Space, its settings, and what its architectures are sampled with."""


def ratios(name: str, settings: dict[str, Any], sampled: dict[str, Any], number: int, rounds: int) -> list[float]:
    """Return the time of all proxies by that of the default ones for some random architectures."""
    space: Any = get_space(name, **settings)
    rng, batch = np.random.default_rng(0), space.task.synthetic_batch()
    default, every = list(proxy_versions()), proxy_names()
    found = []
    for _ in range(number):
        network = space.build(space.sample(rng, **sampled))
        score_batch(network, batch, every)  # loads what a first call needs
        times = [(_seconds(network, batch, default), _seconds(network, batch, every)) for _ in range(rounds)]
        without, with_named = map(min, zip(*times, strict=True))
        found.append(with_named / without)
    return found


def _seconds(network: torch.nn.Module, batch: Any, proxies: Sequence[str]) -> float:
    started = process_time()
    score_batch(network, batch, proxies)
    return process_time() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--architectures", type=int, default=5, help="of each space")
    parser.add_argument("--rounds", type=int, default=3, help="for each architecture")
    parser.add_argument("--write", action="store_true", help="renew the table of docs/performance.md")
    args = parser.parse_args()
    torch.set_num_threads(1)
    rows = [["space", "median", "largest"], ["---", "---:", "---:"]]
    for case, sampling in CASES.items():
        found = ratios(*sampling, args.architectures, args.rounds)
        rows.append([case, *(f"{100 * (value - 1):+.0f} %" for value in (median(found), max(found)))])
    table = markdown(rows)
    if args.write:
        insert_tables(PAGE, {"named proxies": table})
    print(table)  # noqa: T201


if __name__ == "__main__":
    main()
