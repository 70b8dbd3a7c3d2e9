"""Worth of every proxy on every search space: the numbers, tables and figure of docs/proxies-measured.md.

python -m benchmarks.proxies_measured score --benchmarks $ARCHRANK_BENCHMARKS --datasets $ARCHRANK_DATASETS
python -m benchmarks.proxies_measured measure --benchmarks $ARCHRANK_BENCHMARKS
python -m benchmarks.proxies_measured show

`score` computes the scores that no file of the repository has, and `measure` correlations, scatter and gains; both go
on where they were interrupted. `measure` then writes tables and figure, as `show` does alone.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.markdown import insert_tables
from benchmarks.proxies_measured.figure import write_figure
from benchmarks.proxies_measured.populations import GRAPHS, POPULATIONS, PUBLISHED_GRAPHS, ROOT, SEEDS
from benchmarks.proxies_measured.results import (
    Correlated,
    Scored,
    add_gains,
    measure_scatter,
    read_results,
    write_results,
)
from benchmarks.proxies_measured.scoring import score_missing
from benchmarks.proxies_measured.tables import make_tables

PAGE = ROOT / "docs" / "proxies-measured.md"
FIGURE = ROOT / "docs" / "figures" / "proxies-measured.svg"


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=("score", "measure", "show"))
    parser.add_argument("--benchmarks", type=Path, help="folder of benchmarks")
    parser.add_argument("--datasets", type=Path, help="folder of the published graphs")
    parser.add_argument("--only", nargs="*", choices=POPULATIONS, default=list(POPULATIONS))
    parser.add_argument("--seeds", nargs="*", type=int, choices=SEEDS, default=list(SEEDS))
    parser.add_argument("--jobs", type=int, default=1, help="processes that compute scores")
    args = parser.parse_args()
    needed = {"score": ("benchmarks", "datasets"), "measure": ("benchmarks",), "show": ()}[args.command]
    if lacking := [f"--{name}" for name in needed if getattr(args, name) is None]:
        parser.error(f"{args.command} needs {' and '.join(lacking)}")
    if args.command == "score":
        for name in args.only:
            for seed in args.seeds:
                if seed == 0 or POPULATIONS[name].repeated:
                    score_missing(POPULATIONS[name], args.benchmarks, args.datasets, seed, args.jobs)
        return
    if args.command == "measure":
        measure(args.only, args.benchmarks)
    results = read_results()
    write_figure(results, FIGURE)
    insert_tables(PAGE, make_tables(results))


def measure(names: Sequence[str], folder: Path) -> None:
    """Measure populations: first correlations and scatter, then the gains, which take long."""
    scored = {name: Scored.load(POPULATIONS[name], folder) for name in names}
    correlated = {name: Correlated.measure(population) for name, population in scored.items()}
    results = read_results()
    for name, population in scored.items():
        before = results.get(name, {})
        row = results[name] = {
            "n": len(population.keys),
            "classes": len(np.unique(population.material.groups)),
            "counts": population.counts,
            "correlations": correlated[name].rows,
            "scatter": measure_scatter(population),
            "gains": before["gains"] if before.get("n") == len(population.keys) else {},
        }
        sys.stderr.write(f"{name}: {row['n']} architectures, {len(population.names)} proxies\n")
    if set(PUBLISHED_GRAPHS) <= scored.keys():
        results[GRAPHS] = mean_over_graphs({name: scored[name] for name in PUBLISHED_GRAPHS})
    write_results(results)
    for name, population in scored.items():
        add_gains(population, POPULATIONS[name].sizes, results[name]["gains"], lambda: write_results(results))
        sys.stderr.write(f"{name}: gains measured\n")


def mean_over_graphs(scored: Mapping[str, Scored]) -> dict[str, Any]:
    """Mean correlations over data sets, of the architectures that all of them have."""
    common = set.intersection(*(set(population.keys) for population in scored.values()))
    mean = Correlated.mean([Correlated.measure(population.restrict(common)) for population in scored.values()])
    return {"n": len(common), "counts": {}, "correlations": mean.rows}


if __name__ == "__main__":
    main()
