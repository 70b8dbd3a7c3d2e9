"""Which architectures to train first on a new data set: the table of docs/studies.md.

python -m benchmarks.suggestions --benchmarks $ARCHRANK_BENCHMARKS [--draws 20]

Each data set of NAS-Bench-Graph in turn is the new one, and the shipped ensembles of the other data sets are the
sources. Of `NUM_ARCHITECTURES` random architectures that no ensemble was fitted on, 1,000 are candidates of the first
round, 1,000 more of the second, and the others test the order. Each method chooses 25, a study is fitted to them, the
method chooses 25 more. Results are written after each draw; a second run computes those that are missing.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm, rankdata

from benchmarks.markdown import insert_tables, markdown
from benchmarks.suggestions.methods import METHODS, Method, Round
from common.atomic_files import write_atomically
from ensemble import load_benchmark
from ensemble.combiners.transfer import Transfer
from ensemble.data.features import feature_table
from ensemble.evaluation.metrics import spearman
from models import Architecture, get_space
from study import load_sources

Array = NDArray[np.float64]
RESULTS = Path(__file__).resolve().parents[2] / "docs" / "suggestions.json"
PAGE = RESULTS.with_name("studies.md")
DATASETS = ("arxiv", "citeseer", "computers", "cora", "cs", "photo", "physics", "pubmed")
SPACE = "nas-bench-graph"
ENSEMBLE_ROWS = 800
"""Rows that each ensemble was fitted on, drawn by `Benchmark.sample`."""
NUM_ARCHITECTURES, NUM_CANDIDATES, ROUND = 6000, 1000, 25
FIRST_STD = 0.8
"""Standard deviation of the sources' errors, as long as nothing is observed."""
MEASURES = ("spearman", "regret_25", "regret_50", "rank_25", "rank_50")


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--benchmarks", type=Path, required=True, help="folder with nas-bench-graph/<data set>.npz")
    parser.add_argument("--draws", type=int, default=20)
    parser.add_argument("--results", type=Path, default=RESULTS)
    args = parser.parse_args()
    results: dict[str, Any] = json.loads(args.results.read_text()) if args.results.is_file() else {}
    keys = [(str(draw), dataset) for draw in range(args.draws) for dataset in DATASETS]
    if any(set(METHODS) - set(results.get(draw, {}).get(dataset, {})) for draw, dataset in keys):
        inputs = _inputs(args.benchmarks / SPACE)
        for draw, dataset in keys:
            done = results.setdefault(draw, {}).setdefault(dataset, {})
            for name in METHODS:
                if name not in done:
                    done[name] = _measure(METHODS[name], *inputs[dataset], int(draw))
            write_atomically(args.results, json.dumps(results, indent=1, sort_keys=True).encode() + b"\n")
            sys.stderr.write(f"draw {draw}, {dataset}\n")
    insert_tables(PAGE, {"suggestions": _table(results)})


def _inputs(folder: Path) -> dict[str, tuple[Array, Array, int]]:
    """Features, accuracies and number of sources by data set."""
    benchmarks = {name: load_benchmark(folder / f"{name}.npz") for name in DATASETS}
    used = {arch for item in benchmarks.values() for arch in item.sample(ENSEMBLE_ROWS).architectures}
    used |= set(load_benchmark(folder / "proteins.npz").sample(ENSEMBLE_ROWS).architectures)
    common = set.intersection(*(set(item.architectures) for item in benchmarks.values())) - used
    unseen = sorted(common, key=lambda arch: arch.fingerprint)
    rows = np.random.default_rng(0).permutation(len(unseen))[:NUM_ARCHITECTURES]
    architectures: list[Architecture] = [unseen[i] for i in rows]
    names = tuple(f"{SPACE}-{name}" for name in (*DATASETS, "proteins"))
    space = get_space(SPACE)
    scores = {source.name: source.scores(architectures) for source in load_sources(names, space)}
    result = {}
    for name, item in benchmarks.items():
        accuracy = dict(zip(item.architectures, item.accuracy.tolist(), strict=True))
        others = [column for source, column in scores.items() if source != f"{SPACE}-{name}"]
        X = np.column_stack([*others, feature_table(item.space, architectures).values])
        result[name] = X, np.array([accuracy[arch] for arch in architectures]), len(others)
    return result


def _measure(method: Method, X: Array, y: Array, num_sources: int, draw: int) -> dict[str, float | None]:
    rng = np.random.default_rng(draw)
    order = rng.permutation(len(y))
    first, more, test = np.split(order, [NUM_CANDIDATES, 2 * NUM_CANDIDATES])
    scores = Transfer(num_sources, reference=X[first]).fit(X[:0], y[:0]).predict(X[first])
    task = Round(scores, X[first], X[:0], y[:0], FIRST_STD, num_sources, rng)
    trained = first[method(task, ROUND)]
    model = Transfer(num_sources, reference=X[first]).fit(X[trained], y[trained])
    normal = norm.ppf((rankdata(y[trained]) - 0.5) / ROUND)
    pool = np.setdiff1d(np.concatenate([first, more]), trained)
    std = float(np.std(normal - model.held_out_))
    task = Round(model.predict(X[pool]), X[pool], X[trained], normal, std, num_sources, rng)
    later = pool[method(task, ROUND)]
    best = float(y[trained].max()), float(max(y[trained].max(), y[later].max()))
    regret = [100 * (float(y.max()) - value) for value in best]
    rank = [1 + int((y > value).sum()) for value in best]
    return dict(zip(MEASURES, [spearman(model.predict(X[test]), y[test]), *regret, *rank], strict=True))


def _table(results: dict[str, Any]) -> str:
    """Means over data sets and draws."""
    heading = [
        f"mean of {len(results)} draws",
        "ρ after 25",
        "regret after 25",
        "after 50",
        "rank of the best after 25",
        "after 50",
    ]
    rows = [heading, ["---", *(["---:"] * len(MEASURES))]]
    for name in METHODS:
        found = [item[name] for by_dataset in results.values() for item in by_dataset.values() if name in item]
        means = [float(np.mean([item[measure] for item in found])) for measure in MEASURES]
        digits = (3, 2, 2, 0, 0)
        rows.append([name, *(f"{mean:.{places}f}" for mean, places in zip(means, digits, strict=True))])
    return markdown(rows)


if __name__ == "__main__":
    main()
