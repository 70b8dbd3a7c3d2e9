"""The report on a benchmark: every proxy, the baselines and every combiner, in repeated cross-validation."""

import platform
import time
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from common.errors import check_seed
from ensemble.calibration.conformal import LEVEL
from ensemble.combiners import COMBINERS, CombinerInfo, get_combiner
from ensemble.combiners.base import Combiner
from ensemble.combiners.ridge import Ridge
from ensemble.data.benchmark import Benchmark
from ensemble.data.features import PROXY, FeatureTable, as_number, feature_table
from ensemble.data.scores import ScoreTable
from ensemble.errors import BenchmarkError
from ensemble.evaluation.crossval import HeldOut, Progress, held_out_predictions
from ensemble.evaluation.folds import Split, seeded_folds
from ensemble.evaluation.learning_curves import learning_curves, noise, shuffled_control, smaller_sizes
from ensemble.evaluation.metrics import (
    Metrics,
    brier,
    interval_measures,
    mean_and_sd,
    measure,
    reliability,
    search_measures,
)

Array = NDArray[np.float64]


class _DepthMean(Combiner):
    """Baseline: the mean accuracy of the training rows of the same depth."""

    def fit(self, X: Array, y: Array) -> Self:
        X, y = self._check_fit_input(X, y)
        self.means_ = {float(depth): float(y[X[:, 0] == depth].mean()) for depth in np.unique(X[:, 0])}
        self.mean_ = float(y.mean())
        return self

    def predict(self, X: Array) -> Array:
        return np.array([self.means_.get(float(depth), self.mean_) for depth in self._check_input(X)[:, 0]])


class _OneColumn(CombinerInfo):
    """A baseline sees one column and no other."""

    def columns(self, names: Sequence[str]) -> tuple[str, ...]:
        return ({"depth": "depth", "params": "cost.log_params"}[self.name],)


BASELINES = (
    _OneColumn("depth", lambda _, seed: _DepthMean(), "structure", "accuracy"),
    _OneColumn("params", lambda _, seed: Ridge(), "structure", "accuracy"),
)


LEAST_ROWS = 20
LEARNERS = ("depth", "params", "ridge", "structure", "stacked")
"""Whose learning curves are drawn, and who are put through the control."""
LEARNING_REPEATS = 3
"""How many of the repeats the learning curves take: their sizes add up to more work than all the rest."""


def require_rows(benchmark: Benchmark) -> None:
    """Raise `BenchmarkError` where there are too few architectures to learn anything from."""
    if len(benchmark) < LEAST_ROWS:
        raise BenchmarkError(f"{benchmark.name} (architectures)", len(benchmark), f"at least {LEAST_ROWS}")


def benchmark_features(benchmark: Benchmark, scores: ScoreTable | None) -> FeatureTable:
    """The feature table of a whole benchmark; a missing row of scores is a row of missing scores."""
    proxies = scores.proxies if scores is not None else ()
    rows = [scores.features.get(arch.fingerprint, {}) for arch in benchmark.architectures] if scores else None
    return feature_table(benchmark.space, benchmark.architectures, rows, proxies)


def usable_combiners(scores: ScoreTable | None, names: Sequence[str] | None = None) -> list[CombinerInfo]:
    """The combiners of these names, or all; without scores only those that need none. Raises `UnknownNameError`."""
    asked = [get_combiner(name) for name in names] if names is not None else list(COMBINERS)
    return [info for info in asked if scores is not None or not info.needs_proxies]


def evaluate(
    benchmark: Benchmark,
    scores: ScoreTable | None = None,
    repeats: int = 5,
    folds: int = 10,
    seed: int = 0,
    progress: Progress | None = None,
    jobs: int = 2,
    combiners: Sequence[str] | None = None,
) -> dict[str, Any]:
    """Measure proxies, baselines and combiners on a benchmark.

    Args:
        benchmark: what to measure on.
        scores: our own proxy scores; without them only combiners that need none are measured.
        repeats: how often the K-fold split is drawn anew. Each repeat pools its held-out predictions.
        folds: K.
        seed: of splits and combiners: the same seed gives the same report.
        progress: called after each fold.
        jobs: worker processes; the report does not depend on their number.
        combiners: names of those to measure, all if not given.

    Returns:
        Plain data for JSON. `published` and `scores` hold the measures of each proxy's score as it is; `baselines` and
        `combiners` hold, by measure, `{"mean", "sd"}` over the repeats, or None where it is not defined; `intervals`
        and `pairs` how honest intervals and pairwise probabilities are; `learning` the learning curves; `control` the
        whole procedure on accuracies shuffled within depth; `noise` what limits the ρ within depth.
    """
    started = time.perf_counter()
    check_seed(seed)
    require_rows(benchmark)
    scores = scores.without_silent(benchmark) if scores is not None else None
    table = benchmark_features(benchmark, scores)
    y, depths = benchmark.accuracy, benchmark.depths
    infos = [*BASELINES, *usable_combiners(scores, combiners)]
    learners = [info for info in infos if info.name in LEARNERS]
    splits = [structural_folds(table, y, folds, seed + repeat) for repeat in range(repeats)]
    few = splits[:LEARNING_REPEATS]
    count = _Count(progress, len(splits[0]) * (len(splits) + len(few) * len(smaller_sizes(few)) + 1))
    held = held_out_predictions(infos, table, y, splits, seed, jobs, count)
    whole = {name: one.first(len(few)) for name, one in held.items()}
    curves = learning_curves(learners, table, y, depths, few, whole, seed, jobs, count)
    control = shuffled_control(lambda *_: learners, table, y, depths, splits[0], seed, jobs, count)
    return {
        "benchmark": benchmark.summary,
        "method": {"repeats": repeats, "folds": folds, "seed": seed, "learning_repeats": len(few)},
        "published": published_measures(benchmark),
        "scores": score_measures(benchmark, table),
        "depth": _measure_score(benchmark, depths.astype(float)),
        **summary(held, benchmark),
        "learning": curves,
        "control": control,
        "noise": noise(table, y, depths),
        "versions": {name: version(name) for name in ("numpy", "scikit-learn", "torch", "xgboost")},
        "python": platform.python_version(),
        "seconds": round(time.perf_counter() - started, 2),
    }


class _Count:
    """Progress over several cross-validations as one."""

    def __init__(self, progress: Progress | None, total: int) -> None:
        self.progress, self.total, self.done = progress, total, 0

    def __call__(self, done: int, total: int) -> None:
        self.done += 1
        if self.progress is not None:
            self.progress(self.done, self.total)


def structural_folds(table: FeatureTable, y: Array, folds: int, seed: int) -> list[Split]:
    """Folds by structure and accuracy alone, so that reports with and without scores compare on the same ones."""
    structure = table.select([name for name in table.names if not name.startswith(PROXY)])
    return seeded_folds(structure, y, folds, seed)


def summary(held: Mapping[str, HeldOut], benchmark: Benchmark) -> dict[str, Any]:
    """What held-out predictions are worth: `baselines`, `combiners`, `intervals` and `pairs` of the report.

    Measures are `{"mean", "sd"}` over the repeats.
    """
    y, depths = benchmark.accuracy, benchmark.depths
    measured = {
        name: mean_and_sd([measure(row, y, depths) | search_measures(row, y, depths) for row in one.accuracy])
        for name, one in held.items()
    }
    baselines = [info.name for info in BASELINES]
    intervals = {
        name: mean_and_sd([interval_measures(row, y, depths) for row in one.interval]) for name, one in held.items()
    }
    return {
        "baselines": {name: measured[name] for name in baselines},
        "combiners": {name: row for name, row in measured.items() if name not in baselines},
        "intervals": {"level": LEVEL, "combiners": intervals},
        "pairs": {"combiners": {name: _pairs(one) for name, one in held.items()}},
    }


def _pairs(held: HeldOut) -> dict[str, Any]:
    """How honest pairwise probabilities are, over all pairs of test rows and over those of equal depth."""
    result = {}
    for name, which in (("all", [np.ones_like(same) for same in held.same_depth]), ("within_depth", held.same_depth)):
        kept = [(p[rows], b[rows]) for p, b, rows in zip(held.probability, held.better, which, strict=True)]
        probability, better = (np.concatenate(part) for part in zip(*kept, strict=True))
        result[name] = {
            "brier": mean_and_sd([{"brier": brier(*repeat)} for repeat in kept])["brier"],
            "pairs": len(probability),
            "reliability": reliability(probability, better),
        }
    return result


def published_measures(benchmark: Benchmark) -> dict[str, Metrics]:
    """How well each published score orders the benchmark, without any fitting: larger is taken to be better."""
    columns = {
        proxy: np.array([as_number(entry.scores.get(proxy)) for entry in benchmark.entries])
        for proxy in benchmark.proxies
    }
    return {proxy: _measure_score(benchmark, column) for proxy, column in columns.items()}


def score_measures(benchmark: Benchmark, table: FeatureTable) -> dict[str, Metrics]:
    """The same for the proxy columns of a feature table."""
    proxies = [name for name in table.names if name.startswith(PROXY)]
    return {name.removeprefix(PROXY): _measure_score(benchmark, table.select([name])[:, 0]) for name in proxies}


def _measure_score(benchmark: Benchmark, column: Array) -> Metrics:
    metrics = measure(column, benchmark.accuracy, benchmark.depths, absolute=False)
    del metrics["mae"]  # a score states no accuracy
    return metrics
