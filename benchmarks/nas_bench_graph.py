"""Quality of predictors from structure on NAS-Bench-Graph: the numbers and tables of docs/graphs.md.

python -m benchmarks.nas_bench_graph --benchmarks $ARCHRANK_BENCHMARKS [--only cora …]

Each result is written as soon as it is known; a second run computes those that are missing. Training rows are drawn at
random, all other rows are the test rows:

- learning curves of `rank_trees`, and of the baselines, by the number of training rows, mean of 5 draws (2 for more
  than 500 rows). The calibration to accuracies does not change an order: it is computed for 500 rows only,
- coverage and width of 90 % intervals with 500 training rows,
- ρ with nine tenths of all rows for training, one draw.
"""

import argparse
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from joblib import Parallel, delayed
from scipy.stats import kendalltau, spearmanr

from common.atomic_files import write_atomically
from ensemble import CombinerInfo, FeatureTable, get_combiner, load_benchmark
from ensemble.combiners.calibrated import Calibrated
from ensemble.evaluation.baselines import baselines
from ensemble.evaluation.cross_validation import fit_combiner, predict_combiner
from ensemble.evaluation.protocol import benchmark_features

RESULTS = Path(__file__).resolve().parents[1] / "docs" / "data" / "nas-bench-graph-predictors.json"
DATASETS = ("cora", "citeseer", "pubmed", "cs", "physics", "photo", "computers", "arxiv", "proteins")
COMBINER = "rank_trees"
SIZES = (25, 50, 100, 200, 500, 1000, 2000)
CALIBRATED_SIZE = 500
DRAWS, DRAWS_OF_LARGE = 5, 2
PUBLISHED = (0.725, 0.874, 0.807, 0.885, 0.885, 0.905, 0.812, 0.911, 0.759)
"""Spearman's ρ of XGBoost with 80 % of all labels (log_file/*.log of github.com/susuxy/NAS-Bench-Graph)."""
Numbers = dict[str, float]
Array = np.ndarray[Any, np.dtype[Any]]


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--benchmarks", type=Path, required=True, help="folder with nas-bench-graph/<data set>.npz")
    parser.add_argument("--only", nargs="*", choices=DATASETS, default=list(DATASETS))
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--jobs", type=int, default=2)
    args = parser.parse_args()
    results: dict[str, Any] = json.loads(args.results.read_text()) if args.results.is_file() else {}
    args.results.parent.mkdir(parents=True, exist_ok=True)
    for dataset in args.only:
        known = results.setdefault(dataset, {})
        benchmark = load_benchmark(args.benchmarks / "nas-bench-graph" / f"{dataset}.npz", "nas-bench-graph")
        table, y = benchmark_features(benchmark, None), benchmark.accuracy
        missing = [task for task in _tasks(len(y)) if "/".join(map(str, task)) not in known]
        outputs = Parallel(n_jobs=args.jobs, return_as="generator")(
            delayed(_measure)(table, y, size, draw) for size, draw in missing
        )
        for task, numbers in zip(missing, outputs, strict=True):
            known["/".join(map(str, task))] = numbers
            write_atomically(args.results, json.dumps(results, indent=1, sort_keys=True).encode() + b"\n")
            sys.stderr.write(f"{dataset} {task}: {numbers[COMBINER]['spearman']:.3f}\n")
    sys.stdout.write("\n".join(tables(results)))


def _tasks(size: int) -> Iterator[tuple[int, int]]:
    """Numbers of training rows and of the draw, the most important first."""
    for n in sorted(SIZES, key=lambda n: n != CALIBRATED_SIZE):
        for draw in range(DRAWS if n <= CALIBRATED_SIZE else DRAWS_OF_LARGE):
            if n < 0.8 * size:
                yield n, draw
    yield round(0.9 * size), 0


def _measure(table: FeatureTable, y: Array, size: int, draw: int) -> dict[str, Numbers]:
    torch.set_num_threads(1)
    rows = np.random.default_rng([draw, size]).permutation(len(y))
    train, test = np.sort(rows[:size]), np.sort(rows[size:])
    infos = (get_combiner(COMBINER), *baselines(table.columns))
    return {info.name: _evaluate(info, table, y, train, test) for info in infos}


def _evaluate(info: CombinerInfo, table: FeatureTable, y: Array, train: Array, test: Array) -> Numbers:
    """Metrics on the test rows; those of intervals with `CALIBRATED_SIZE` training rows only."""
    if len(train) == CALIBRATED_SIZE:
        model, residuals = fit_combiner(info, table.take(train), y[train], 0)
    else:
        model = info.build(table.columns, 0)
        model = model.base_estimator if isinstance(model, Calibrated) else model
        model.fit(table.take(train).select(info.columns(table.names)), y[train])
    predicted = predict_combiner(info, model, table.take(test))
    numbers = {
        "spearman": float(spearmanr(predicted, y[test]).statistic),
        "kendall": float(kendalltau(predicted, y[test]).statistic),
    }
    if len(train) == CALIBRATED_SIZE:
        interval = residuals.intervals(predicted, table.take(test).strata)
        inside = (interval[:, 0] <= y[test]) & (y[test] <= interval[:, 1])
        numbers |= {
            "coverage": float(inside.mean()),
            "interval_width": float((interval[:, 1] - interval[:, 0]).mean()),
            "mae": float(np.abs(predicted - y[test]).mean()),
        }
    return numbers


def tables(results: Mapping[str, Any]) -> Iterator[str]:
    """Yield the lines of the tables, Markdown."""
    yield f"Mean of {DRAWS} draws of {CALIBRATED_SIZE} training labels, tested on all others; ρ ± std over the draws."
    yield ""
    yield (
        "| data set | ρ | τ | coverage of 90 % intervals | width, points | ρ, depth only | ρ, parameters only "
        "| ρ, 90 % of the labels | ρ, published XGBoost, 80 % of the labels |"
    )
    yield "|---|---|---|---|---|---|---|---|---|"
    for dataset, published in zip(DATASETS, PUBLISHED, strict=True):
        rows = results.get(dataset, {})
        draws = _draws(rows, CALIBRATED_SIZE)
        if not draws:
            continue
        ranked = [draw[COMBINER] for draw in draws]
        rho = [draw["spearman"] for draw in ranked]
        full = max((int(task.split("/")[0]) for task in rows), default=0)
        everything = _mean(rows, full, COMBINER, "spearman") if full > max(SIZES) or dataset == "proteins" else None
        cells = [
            f"**{np.mean(rho):.3f}** ± {np.std(rho):.3f}",
            f"{np.mean([draw['kendall'] for draw in ranked]):.3f}",
            f"{np.mean([draw['coverage'] for draw in ranked]):.1%}",
            f"{100 * np.mean([draw['interval_width'] for draw in ranked]):.1f}",
            *(_number(_mean(rows, CALIBRATED_SIZE, name, "spearman")) for name in ("stratum", "params")),
            _number(everything),
            f"{published:.3f}",
        ]
        yield f"| {dataset} | {' | '.join(cells)} |"
    for metric, symbol in (("spearman", "ρ"), ("kendall", "τ")):
        yield from ("", f"{symbol} of `{COMBINER}` by the number of training labels.", "")
        yield f"| data set | {' | '.join(f'{size:,}' for size in SIZES)} |"
        yield "|---" * (len(SIZES) + 1) + "|"
        for dataset in results:
            values = [_number(_mean(results[dataset], size, COMBINER, metric)) for size in SIZES]
            yield f"| {dataset} | {' | '.join(values)} |"
    yield ""


def _draws(rows: Mapping[str, Any], size: int) -> list[Any]:
    return [numbers for task, numbers in rows.items() if task.split("/")[0] == str(size)]


def _mean(rows: Mapping[str, Any], size: int, name: str, metric: str) -> float | None:
    values = [draw[name][metric] for draw in _draws(rows, size)]
    return float(np.mean(values)) if values else None


def _number(value: float | None) -> str:
    return "–" if value is None or np.isnan(value) else f"{value:.3f}"


if __name__ == "__main__":
    main()
