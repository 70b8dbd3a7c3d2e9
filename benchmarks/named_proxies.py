"""Cost of the proxies that are computed where they are named, relative to the default ones, at the default fidelity.

    python -m benchmarks.named_proxies [--write]

For each space and depth: processor time of all proxies by that of the default ones, and of the default ones with one
more, the medians of alternating rounds in one process with one thread. `--write` renews the table of
docs/performance.md.
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
from proxies import proxy_infos, score_batch

PAGE = Path(__file__).resolve().parents[1] / "docs" / "performance.md"
DEFAULT = [info.name for info in proxy_infos() if info.default]
NAMED = [info.name for info in proxy_infos() if not info.default]
CASES: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "`gcn-nas`, 10 layers": ("gcn-nas", {}, {"depth": 10}),
    "`gcn-nas`, 4 layers": ("gcn-nas", {}, {"depth": 4}),
    "`nas-bench-201`": ("nas-bench-201", {}, {}),
    "`nas-bench-graph`": ("nas-bench-graph", {}, {}),
}
"""Space, its settings and what architectures are sampled."""
NUM_ARCHITECTURES = 3


def ratios(name: str, settings: dict[str, Any], sampled: dict[str, Any], rounds: int) -> list[float]:
    """Return the times of all proxies, and of the default ones with each other one, by that of the default ones."""
    space: Any = get_space(name, **settings)
    rng, batch = np.random.default_rng(0), space.task.synthetic_batch()
    networks = [space.build(space.sample(rng, **sampled)) for _ in range(NUM_ARCHITECTURES)]
    sets = [DEFAULT, DEFAULT + NAMED, *([*DEFAULT, proxy] for proxy in NAMED)]
    by_network = []
    for network in networks:
        score_batch(network, batch, sets[1])  # loads what the first call needs
        times = [[_seconds(network, batch, names) for names in sets] for _ in range(rounds)]
        default, *others = (median(column) for column in zip(*times, strict=True))
        by_network.append([other / default for other in others])
    return [median(column) for column in zip(*by_network, strict=True)]


def _seconds(network: torch.nn.Module, batch: Any, proxies: Sequence[str]) -> float:
    started = process_time()
    score_batch(network, batch, proxies)
    return process_time() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="of each set of proxies, for each architecture")
    parser.add_argument("--write", action="store_true", help="renew the table of docs/performance.md")
    args = parser.parse_args()
    torch.set_num_threads(1)
    rows = [["space", "all", *(f"`{name}`" for name in NAMED)], ["---", *["---:"] * (1 + len(NAMED))]]
    for case, (name, settings, sampled) in CASES.items():
        rows.append([case, *(f"{100 * (ratio - 1):+.0f} %" for ratio in ratios(name, settings, sampled, args.rounds))])
    table = markdown(rows)
    if args.write:
        insert_tables(PAGE, {"named proxies": table})
    print(table)  # noqa: T201


if __name__ == "__main__":
    main()
