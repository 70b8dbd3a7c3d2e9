"""Rank correlation of the combiners of proxies by number of trained architectures, beside ridge regression.

    python -m benchmarks.few_labels --benchmark DIR --scores TABLE [--draws 20] [--jobs 2]

Random architectures are the training rows, all others with scores are ordered. Prints a Markdown table: mean and
standard error over the draws of Spearman's ρ, and in parentheses that within the strata. `ridge` sees structure only.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
from joblib import Parallel, delayed
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track

from benchmarks.markdown import markdown
from ensemble import FeatureTable, combiner_infos, get_combiner, load_benchmark, load_scores
from ensemble.combiners.base import Array
from ensemble.evaluation.metrics import prediction_metrics
from ensemble.evaluation.protocol import benchmark_features

SIZES = (10, 25, 50, 100)


def measure(
    name: str, table: FeatureTable, accuracy: Array, strata: NDArray[np.int64], size: int, draw: int
) -> tuple[float, float]:
    """Fit a combiner to random rows: ρ on all others, and its mean within the strata."""
    rows = np.random.default_rng([draw, size]).permutation(len(accuracy))
    train, test = np.sort(rows[:size]), np.sort(rows[size:])
    info = get_combiner(name)
    X = table.select(info.columns(table.names))
    model = info.build(table.columns, draw).fit(X[train], accuracy[train])
    metrics = prediction_metrics(model.predict(X[test]), accuracy[test], strata[test])
    return metrics["spearman"] or 0.0, metrics["within_stratum_spearman"] or 0.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--benchmark", required=True, type=Path)
    parser.add_argument("--scores", required=True, type=Path)
    parser.add_argument("--draws", type=int, default=20)
    parser.add_argument("--jobs", type=int, default=2)
    args = parser.parse_args()
    benchmark = load_benchmark(args.benchmark)
    table = benchmark_features(benchmark, load_scores(args.scores))
    scored = np.flatnonzero(~np.isnan(table.select(table.columns.proxies)).all(axis=1))
    table, accuracy, strata = table.take(scored), benchmark.accuracy[scored], benchmark.strata[scored]
    names = [info.name for info in combiner_infos() if info.inputs == "proxies"] + ["ridge"]
    lines = [["combiner", *(f"{size} architectures" for size in SIZES)], ["---", *("---:" for _ in SIZES)]]
    for name in track(names, console=Console(stderr=True)):
        line = [f"`{name}`"]
        for size in SIZES:
            calls = (delayed(measure)(name, table, accuracy, strata, size, draw) for draw in range(args.draws))
            values = np.array(Parallel(args.jobs)(calls))
            error = values[:, 0].std(ddof=1) / np.sqrt(len(values))
            line.append(f"{values[:, 0].mean():.3f} ± {error:.3f} ({values[:, 1].mean():.2f})")
        lines.append(line)
    sys.stdout.write(markdown(lines))


if __name__ == "__main__":
    main()
