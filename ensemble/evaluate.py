"""The report on a benchmark: every proxy, the baselines and every combiner, in repeated cross-validation."""

import platform
import time
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from ensemble.benchmark import Benchmark
from ensemble.combiners import COMBINERS, CombinerInfo, get_combiner
from ensemble.combiners.base import Combiner
from ensemble.combiners.ridge import Ridge
from ensemble.crossval import Progress, held_out_predictions
from ensemble.errors import BenchmarkError
from ensemble.features import PROXY, FeatureTable, as_number, feature_table
from ensemble.folds import seeded_folds
from ensemble.metrics import Metrics, mean_and_sd, measure
from ensemble.scores import ScoreTable

Array = NDArray[np.float64]


class _DepthMean(Combiner):
    """Baseline: the mean accuracy of the training rows of the same depth."""

    def fit(self, X: Array, y: Array) -> Self:
        X, y = self._training_data(X, y)
        self.means_ = {float(depth): float(y[X[:, 0] == depth].mean()) for depth in np.unique(X[:, 0])}
        self.mean_ = float(y.mean())
        return self

    def predict(self, X: Array) -> Array:
        return np.array([self.means_.get(float(depth), self.mean_) for depth in self._data(X)[:, 0]])


class _OneColumn(CombinerInfo):
    """A baseline sees one column and no other."""

    def columns(self, names: Sequence[str]) -> tuple[str, ...]:
        return ({"depth": "depth", "params": "cost.log_params"}[self.name],)


BASELINES = (
    _OneColumn("depth", lambda _, seed: _DepthMean(), "structure", "accuracy"),
    _OneColumn("params", lambda _, seed: Ridge(), "structure", "accuracy"),
)


LEAST_ROWS = 20


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
        `combiners` hold, by measure, `{"mean", "sd"}` over the repeats, or None where it is not defined.
    """
    started = time.perf_counter()
    require_rows(benchmark)
    scores = scores.without_silent(benchmark) if scores is not None else None
    table = benchmark_features(benchmark, scores)
    y = benchmark.accuracy
    infos = [*BASELINES, *usable_combiners(scores, combiners)]
    # Folds by structure and accuracy alone, so that reports with and without scores compare on the same ones.
    structure = table.select([name for name in table.names if not name.startswith(PROXY)])
    splits = [seeded_folds(structure, y, folds, seed + repeat) for repeat in range(repeats)]
    held_out = held_out_predictions(infos, table, y, splits, seed, jobs, progress)
    measured = {
        name: mean_and_sd([measure(row, y, benchmark.depths) for row in rows]) for name, rows in held_out.items()
    }
    baselines = [info.name for info in BASELINES]
    return {
        "benchmark": {
            "name": benchmark.name,
            "space": benchmark.space.name,
            "settings": benchmark.space.settings,
            "architectures": len(benchmark),
            "data_hash": benchmark.data_hash,
            "by_depth": {str(d): int((benchmark.depths == d).sum()) for d in np.unique(benchmark.depths)},
        },
        "method": {"repeats": repeats, "folds": folds, "seed": seed},
        "published": published_measures(benchmark),
        "scores": score_measures(benchmark, table),
        "depth": _measure_score(benchmark, benchmark.depths.astype(float)),
        "baselines": {name: measured[name] for name in baselines},
        "combiners": {name: summary for name, summary in measured.items() if name not in baselines},
        "versions": {name: version(name) for name in ("numpy", "scikit-learn", "torch", "xgboost")},
        "python": platform.python_version(),
        "seconds": round(time.perf_counter() - started, 2),
    }


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
