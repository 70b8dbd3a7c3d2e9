"""What was tried for the prediction: models and features beside those that were kept, on the same folds.

    python benchmarks/trials.py --benchmark DIR [--repeats 3] [--only NAME …]

Prints a Markdown table: mean and standard deviation over the repeats of Spearman's ρ and of the mean ρ within depth.
The variants are fitted on the training rows of each fold, like all that is fitted; intervals are left out.
"""

import argparse
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from joblib import Parallel, delayed  # type: ignore[import-untyped]
from rich.console import Console
from rich.progress import track
from trial_models import Average, ListMLE, PairwiseBoosting, RankedProxies

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
from ensemble.data.features import PROXY
from ensemble.evaluation.metrics import prediction_metrics, summarize_repeats
from ensemble.evaluation.protocol import benchmark_features, structural_folds

SCORES = Path(__file__).resolve().parents[1] / "ensemble" / "data" / "gcn-nas-ntu.scores.jsonl"
WIDE = re.compile(r"network\.|(fixed|dynamic)\.slot|stage\d\.(fixed|dynamic)")
MEASURES = ("spearman", "within_stratum_spearman")
Columns = list[str]


def _ranked(make: Callable[[Columns], Combiner]) -> Callable[[Columns], Combiner]:
    def made(columns: Columns) -> Combiner:
        proxies = tuple(i for i, name in enumerate(columns) if name.startswith(PROXY))
        return RankedProxies(make(columns), columns.index("depth"), proxies)

    return made


def _within(model: Combiner, columns: Columns) -> Combiner:
    return StratumResidual(model, columns.index("depth"))


def _extra(columns: Columns) -> Combiner:
    return _within(Forest(min_samples_leaf=2, max_features=0.5, extra_trees=True), columns)


def _forest(columns: Columns) -> Combiner:
    return _within(Forest(), columns)


def _stack(columns: Columns, *makes: Callable[[Columns], Combiner]) -> Combiner:
    everything = tuple(range(len(columns)))
    return Stacked(tuple((str(i), make(columns), everything) for i, make in enumerate(makes)))


def _process(columns: Columns) -> Combiner:
    return AdditiveGaussianProcess(columns)


def _boosting(columns: Columns) -> Combiner:
    return _within(Boosting(), columns)


def _structure(name: str) -> bool:
    return not name.startswith(PROXY)


def _narrow(name: str) -> bool:
    return _structure(name) and not WIDE.match(name)


def _everything(name: str) -> bool:
    return True


Variant = tuple[Callable[[Columns], Combiner], Callable[[str], bool]]
VARIANTS: dict[str, Variant] = {
    "ridge": (lambda _: Ridge(), _structure),
    "Gaussian process": (_process, _structure),
    "Gaussian process, with proxies": (_process, _everything),
    "Gaussian process, with proxies ranked within depth": (_ranked(_process), _everything),
    "extra trees within depth, with proxies ranked within depth": (_ranked(_extra), _everything),
    "random forest": (lambda _: Forest(), _structure),
    "random forest within depth": (_forest, _structure),
    "extra trees": (lambda _: Forest(min_samples_leaf=2, max_features=0.5, extra_trees=True), _structure),
    "extra trees within depth": (_extra, _structure),
    "extra trees within depth, without counts": (_extra, _narrow),
    "extra trees within depth, with proxies": (_extra, _everything),
    "XGBoost": (lambda _: Boosting(), _structure),
    "XGBoost within depth": (_boosting, _structure),
    "XGBoost within depth, without counts": (_boosting, _narrow),
    "XGBoost within depth, with proxies": (_boosting, _everything),
    "XGBoost `rank:pairwise`": (lambda c: PairwiseBoosting(c.index("depth")), _structure),
    "RankNet": (lambda _: RankNet(), _structure),
    "ListMLE": (lambda c: ListMLE(c.index("depth")), _structure),
    "stack as kept": (lambda c: _stack(c, _process, _extra, _boosting), _structure),
    "stack without the process": (lambda c: _stack(c, _extra, _boosting), _structure),
    "stack without extra trees": (lambda c: _stack(c, _process, _boosting), _structure),
    "stack without XGBoost": (lambda c: _stack(c, _process, _extra), _structure),
    "stack, with a forest": (lambda c: _stack(c, _process, _extra, _boosting, _forest), _structure),
    "equal weights": (lambda c: Average((_process(c), _extra(c), _boosting(c))), _structure),
    "equal weights, with a forest": (lambda c: Average((_process(c), _extra(c), _boosting(c), _forest(c))), _structure),
    "stack, with a ridge": (lambda c: _stack(c, _process, _extra, _boosting, lambda _: Ridge()), _structure),
    "stack, with `rank:pairwise`": (
        lambda c: _stack(c, _process, _extra, _boosting, lambda c: PairwiseBoosting(c.index("depth"))),
        _structure,
    ),
    "stack, trees with proxies too": (lambda c: _stack(c, _process, _extra, _boosting), _everything),
    "stack, without counts": (lambda c: _stack(c, _process, _extra, _boosting), _narrow),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--benchmark", type=Path, required=True)
    parser.add_argument("--scores", type=Path, default=SCORES)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--folds", type=int, default=10)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--only", nargs="*", choices=VARIANTS, default=list(VARIANTS), metavar="NAME")
    arguments = parser.parse_args()
    benchmark = load_benchmark(arguments.benchmark)
    table = benchmark_features(benchmark, load_scores(arguments.scores))
    y, depths = benchmark.accuracy, benchmark.strata
    splits = [structural_folds(table, y, arguments.folds, 100 + repeat) for repeat in range(arguments.repeats)]
    tasks = [(repeat, train, test) for repeat, folds in enumerate(splits) for train, test in folds]
    predicted = {name: np.empty((arguments.repeats, len(y))) for name in arguments.only}
    answers = Parallel(n_jobs=arguments.jobs, return_as="generator")(
        delayed(_predicted)(arguments.only, table, y, train, test) for _, train, test in tasks
    )
    for (repeat, _, test), fold in zip(
        tasks, track(answers, total=len(tasks), console=Console(stderr=True)), strict=True
    ):
        for name, answer in fold.items():
            predicted[name][repeat, test] = answer
    sys.stdout.write("| variant | ρ | within-stratum ρ |\n|---|---|---|\n")
    for name, rows in predicted.items():
        measured = summarize_repeats([prediction_metrics(row, y, depths) for row in rows])
        cells = [f"{one['mean']:.3f} ± {one['std']:.3f}" for key in MEASURES if (one := measured[key])]
        sys.stdout.write(f"| {name} | {' | '.join(cells)} |\n")


def _predicted(names: Sequence[str], table: FeatureTable, y: Array, train: Array, test: Array) -> dict[str, Array]:
    """All variants in one fold, so that members which several have in common are fitted once."""
    torch.set_num_threads(1)
    predictions = {}
    for name in names:
        make, wanted = VARIANTS[name]
        columns = [column for column in table.names if wanted(column)]
        X = table.select(columns)
        predictions[name] = fit_cached(make(columns), X[train], y[train]).predict(X[test])
    return predictions


if __name__ == "__main__":
    main()
