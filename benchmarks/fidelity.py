"""Rankings of the same architectures at several fidelities of the probe batch.

    python benchmarks/fidelity.py [--proxies NAME …] --out runs/fidelity.json

A fidelity is (N, T, repeats): samples, frames, and repeats of zen. For each fidelity and proxy: Spearman's ρ with the
highest fidelity over all architectures, and the mean of ρ within each depth.
"""

import argparse
import json
from collections import defaultdict
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.progress import track
from rich.table import Table
from scipy.stats import spearmanr

from models import get_space
from models.gcn_nas.batches import synthetic_batch
from proxies import proxy_names, score

SPACE = "gcn-nas"
FIDELITIES = [(2, 8, 1), (2, 16, 1), (4, 8, 1), (4, 16, 1), (4, 16, 3), (4, 32, 3), (8, 16, 3), (8, 64, 8)]


def run(
    job: tuple[int, int, tuple[int, int, int], list[str]],
) -> tuple[int, tuple[int, int, int], float, dict[str, float | None]]:
    """Score architecture number `index` of depth `depth` at one fidelity."""
    depth, index, fidelity, names = job
    torch.set_num_threads(1)
    space: Any = get_space(SPACE)
    arch = space.sample(np.random.default_rng([depth, index]), depth=depth)
    batch_size, frames, repeats = fidelity
    batch = synthetic_batch(space.task, batch_size, frames)
    network = space.build(arch)
    started = perf_counter()
    scores = score(network, batch.x, batch.y, names, repeats=repeats)
    return depth, fidelity, perf_counter() - started, {name: s.feature for name, s in scores.items()}


def compare(results: list[Any], names: list[str]) -> list[dict[str, Any]]:
    """Return a row per fidelity: median seconds of the deepest networks, and ρ by proxy, overall and within depth."""
    values: dict[Any, list[tuple[int, float, dict[str, float | None]]]] = defaultdict(list)
    for depth, fidelity, seconds, scores in results:
        values[fidelity].append((depth, seconds, scores))
    highest = values[FIDELITIES[-1]]
    depths = np.array([depth for depth, _, _ in highest])
    rows = []
    for fidelity in FIDELITIES:
        row: dict[str, Any] = {"batch_size": fidelity[0], "frames": fidelity[1], "repeats": fidelity[2]}
        row["seconds_10_layers_one_core"] = float(np.median([s for d, s, _ in values[fidelity] if d == 10]))
        for name in names:
            a = np.array([scores[name] for _, _, scores in values[fidelity]], dtype=float)
            b = np.array([scores[name] for _, _, scores in highest], dtype=float)
            within = [spearmanr(a[depths == d], b[depths == d]).statistic for d in np.unique(depths)]
            row[name] = {"all": float(spearmanr(a, b).statistic), "within_stratum": float(np.mean(within))}
        rows.append(row)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--per-depth", type=int, default=10, help="architectures of each depth")
    parser.add_argument("--proxies", nargs="+", default=proxy_names(), choices=proxy_names(), help="by default all")
    parser.add_argument("--jobs", type=int, default=2, help="processes, one thread each")
    parser.add_argument("--out", type=Path, default=Path("runs/fidelity.json"))
    args = parser.parse_args()
    jobs = [(depth, i, f, args.proxies) for f in FIDELITIES for depth in (4, 6, 8, 10) for i in range(args.per_depth)]
    with ProcessPoolExecutor(args.jobs, mp_context=get_context("spawn")) as pool:
        results = list(track(pool.map(run, jobs), total=len(jobs), description="scoring"))
    rows = compare(results, args.proxies)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps(rows, indent=1))
    table = Table(
        "N", "T", "repeats", "s, 10 layers, 1 core", *args.proxies, title="ρ with the highest fidelity, within depth"
    )
    for row in rows:
        table.add_row(
            *(str(row[key]) for key in ("batch_size", "frames", "repeats")),
            f"{row['seconds_10_layers_one_core']:.2f}",
            *(f"{row[name]['within_stratum']:.2f}" for name in args.proxies),
        )
    Console(width=200).print(table)


if __name__ == "__main__":
    main()
