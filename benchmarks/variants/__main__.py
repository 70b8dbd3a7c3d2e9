"""Compare variants of the combiners on the same folds: models and features beside those that were kept.

    python -m benchmarks.variants --benchmark DIR [--repeats 3] [--only NAME …]

Prints a Markdown table: mean and standard deviation over the repeats of Spearman's ρ and of the within-stratum ρ. All
variants are fitted on the training rows of each fold; prediction intervals are left out.
"""

import argparse
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from joblib import Parallel, delayed
from rich.console import Console
from rich.progress import track

from benchmarks.variants.models import Average, ListMLE, PairwiseBoosting, RankedProxies
from ensemble import FeatureTable, load_benchmark, load_scores
from ensemble.combiners.base import Array, Combiner
from ensemble.combiners.fitting import fit_cached
from ensemble.combiners.forest import Forest
from ensemble.combiners.gaussian_process import AdditiveGaussianProcess
from ensemble.combiners.ranknet import RankNet
from ensemble.combiners.ridge import Ridge
from ensemble.combiners.stacked import Stacked
from ensemble.combiners.stratum_residual import StratumResidual
from ensemble.combiners.xgboost import Boosting
from ensemble.data.columns import PROXY, Columns
from ensemble.evaluation.metrics import prediction_metrics, summarize_repeats
from ensemble.evaluation.protocol import benchmark_features, structural_folds

SCORES = Path(__file__).resolve().parents[2] / "ensemble" / "data" / "gcn-nas-ntu.scores.jsonl"
AGGREGATE_FEATURES = re.compile(r"network\.|(fixed|dynamic)\.slot|stage\d\.(fixed|dynamic)")
METRICS = ("spearman", "within_stratum_spearman")
Factory = Callable[[Columns], Combiner]


def _with_ranked_proxies(factory: Factory) -> Factory:
    def make(columns: Columns) -> Combiner:
        proxies = tuple(i for i, name in enumerate(columns.names) if name in columns.proxies)
        return RankedProxies(factory(columns), _stratum(columns), proxies)

    return make


def _stratum(columns: Columns) -> int:
    return columns.names.index(columns.stratum or "")


def _within_strata(model: Combiner, columns: Columns) -> Combiner:
    return StratumResidual(model, _stratum(columns))


def _extra_trees(columns: Columns) -> Combiner:
    return _within_strata(Forest(min_samples_leaf=2, max_features=0.5, extra_trees=True), columns)


def _forest(columns: Columns) -> Combiner:
    return _within_strata(Forest(), columns)


def _stack(columns: Columns, *factories: Factory) -> Combiner:
    all_columns = tuple(range(len(columns.names)))
    return Stacked(tuple((str(i), make(columns), all_columns) for i, make in enumerate(factories)))


def _gaussian_process(columns: Columns) -> Combiner:
    return AdditiveGaussianProcess(columns)


def _boosting(columns: Columns) -> Combiner:
    return _within_strata(Boosting(), columns)


def _structural(name: str) -> bool:
    return not name.startswith(PROXY)


def _structural_without_counts(name: str) -> bool:
    return _structural(name) and not AGGREGATE_FEATURES.match(name)


def _all_features(name: str) -> bool:
    return True


Variant = tuple[Factory, Callable[[str], bool]]
"""Factory of the model, and predicate of the feature names that it uses."""
VARIANTS: dict[str, Variant] = {
    "ridge": (lambda _: Ridge(), _structural),
    "Gaussian process": (_gaussian_process, _structural),
    "Gaussian process, with proxies": (_gaussian_process, _all_features),
    "Gaussian process, with proxies ranked within depth": (_with_ranked_proxies(_gaussian_process), _all_features),
    "extra trees within depth, with proxies ranked within depth": (_with_ranked_proxies(_extra_trees), _all_features),
    "random forest": (lambda _: Forest(), _structural),
    "random forest within depth": (_forest, _structural),
    "extra trees": (lambda _: Forest(min_samples_leaf=2, max_features=0.5, extra_trees=True), _structural),
    "extra trees within depth": (_extra_trees, _structural),
    "extra trees within depth, without counts": (_extra_trees, _structural_without_counts),
    "extra trees within depth, with proxies": (_extra_trees, _all_features),
    "XGBoost": (lambda _: Boosting(), _structural),
    "XGBoost within depth": (_boosting, _structural),
    "XGBoost within depth, without counts": (_boosting, _structural_without_counts),
    "XGBoost within depth, with proxies": (_boosting, _all_features),
    "XGBoost `rank:pairwise`": (lambda c: PairwiseBoosting(_stratum(c)), _structural),
    "RankNet": (lambda _: RankNet(), _structural),
    "ListMLE": (lambda c: ListMLE(_stratum(c)), _structural),
    "stack as kept": (lambda c: _stack(c, _gaussian_process, _extra_trees, _boosting), _structural),
    "stack without the process": (lambda c: _stack(c, _extra_trees, _boosting), _structural),
    "stack without extra trees": (lambda c: _stack(c, _gaussian_process, _boosting), _structural),
    "stack without XGBoost": (lambda c: _stack(c, _gaussian_process, _extra_trees), _structural),
    "stack, with a forest": (lambda c: _stack(c, _gaussian_process, _extra_trees, _boosting, _forest), _structural),
    "equal weights": (lambda c: Average((_gaussian_process(c), _extra_trees(c), _boosting(c))), _structural),
    "equal weights, with a forest": (
        lambda c: Average((_gaussian_process(c), _extra_trees(c), _boosting(c), _forest(c))),
        _structural,
    ),
    "stack, with a ridge": (
        lambda c: _stack(c, _gaussian_process, _extra_trees, _boosting, lambda _: Ridge()),
        _structural,
    ),
    "stack, with `rank:pairwise`": (
        lambda c: _stack(c, _gaussian_process, _extra_trees, _boosting, lambda c: PairwiseBoosting(_stratum(c))),
        _structural,
    ),
    "stack, trees with proxies too": (lambda c: _stack(c, _gaussian_process, _extra_trees, _boosting), _all_features),
    "stack, without counts": (
        lambda c: _stack(c, _gaussian_process, _extra_trees, _boosting),
        _structural_without_counts,
    ),
}


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--benchmark", type=Path, required=True)
    parser.add_argument("--scores", type=Path, default=SCORES)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--folds", type=int, default=10)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--only", nargs="*", choices=VARIANTS, default=list(VARIANTS), metavar="NAME")
    args = parser.parse_args()
    benchmark = load_benchmark(args.benchmark)
    table = benchmark_features(benchmark, load_scores(args.scores))
    y, strata = benchmark.accuracy, benchmark.strata
    splits = [structural_folds(table, y, args.folds, 100 + repeat) for repeat in range(args.repeats)]
    tasks = [(repeat, train, test) for repeat, folds in enumerate(splits) for train, test in folds]
    predictions = {name: np.empty((args.repeats, len(y))) for name in args.only}
    outputs = Parallel(n_jobs=args.jobs, return_as="generator")(
        delayed(_predict_fold)(args.only, table, y, train, test) for _, train, test in tasks
    )
    for (repeat, _, test), fold in zip(
        tasks, track(outputs, total=len(tasks), console=Console(stderr=True)), strict=True
    ):
        for name, values in fold.items():
            predictions[name][repeat, test] = values
    sys.stdout.write("| variant | ρ | within-stratum ρ |\n|---|---|---|\n")
    for name, rows in predictions.items():
        summary = summarize_repeats([prediction_metrics(row, y, strata) for row in rows])
        statistics = [metric for key in METRICS if (metric := summary[key])]
        cells = [f"{metric['mean']:.3f} ± {metric['std']:.3f}" for metric in statistics]
        sys.stdout.write(f"| {name} | {' | '.join(cells)} |\n")


def _predict_fold(names: Sequence[str], table: FeatureTable, y: Array, train: Array, test: Array) -> dict[str, Array]:
    """Predict the test rows with all variants; models that several have in common are fitted once."""
    torch.set_num_threads(1)
    predictions = {}
    for name in names:
        make, is_used = VARIANTS[name]
        columns = table.columns.select([column for column in table.names if is_used(column)])
        X = table.select(columns.names)
        predictions[name] = fit_cached(make(columns), X[train], y[train]).predict(X[test])
    return predictions


if __name__ == "__main__":
    main()
