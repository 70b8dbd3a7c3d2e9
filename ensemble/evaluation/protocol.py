"""Evaluation of proxies, baselines and combiners on a benchmark by repeated cross-validation."""

import platform
import time
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any

import numpy as np
from numpy.typing import NDArray

from common.errors import check_seed
from ensemble.calibration.conformal import LEVEL
from ensemble.combiners import CombinerInfo, combiner_infos, get_combiner
from ensemble.data.benchmark import Benchmark
from ensemble.data.columns import PROXY, Columns
from ensemble.data.curve import CurveFeatures
from ensemble.data.features import FeatureTable, as_number, feature_table
from ensemble.data.folds import Split, seeded_folds
from ensemble.data.scores import ScoreTable
from ensemble.errors import BenchmarkError
from ensemble.evaluation.baselines import BASELINES, PARAMS, STRATUM, baselines
from ensemble.evaluation.cross_validation import HeldOutPredictions, Progress, held_out_predictions
from ensemble.evaluation.diagnostics import estimate_noise, shuffled_label_control
from ensemble.evaluation.learning_curves import compute_learning_curves, smaller_sizes
from ensemble.evaluation.metrics import (
    Metrics,
    brier_score,
    interval_metrics,
    prediction_metrics,
    reliability_curve,
    search_metrics,
    summarize_repeats,
)

Array = NDArray[np.float64]

MIN_ARCHITECTURES = 20
"""Smallest benchmark that can be evaluated or fitted."""
LEARNING_CURVE_COMBINERS = (STRATUM, PARAMS, "ridge", "structure", "stacked")
"""Combiners and baselines with a learning curve and a shuffled-label control."""
MAX_LEARNING_REPEATS = 3
"""Repeats of the learning curves, whose sizes add up to more work than the rest of the evaluation."""


def check_size(benchmark: Benchmark, alternative: str = "") -> None:
    """Check that a benchmark has enough architectures to learn from.

    Args:
        benchmark: the benchmark.
        alternative: alternative to more architectures, for the error.

    Raises:
        BenchmarkError: it has fewer than `MIN_ARCHITECTURES`.
    """
    if len(benchmark) < MIN_ARCHITECTURES:
        raise BenchmarkError(
            f"{benchmark.name} (architectures)", len(benchmark), f"at least {MIN_ARCHITECTURES}{alternative}"
        )


def benchmark_features(
    benchmark: Benchmark,
    scores: ScoreTable | None,
    source_scores: Mapping[str, Array] | None = None,
    curve_features: CurveFeatures | None = None,
) -> FeatureTable:
    """Feature table of a benchmark, one row per architecture.

    Args:
        benchmark: the architectures.
        scores: proxy scores; an architecture without a row has missing scores. None for structural features only.
        source_scores: scores of the architectures by the name of the source, (n,) each.
        curve_features: features of the training curves; None for none.
    """
    proxies = scores.proxies if scores is not None else ()
    rows = [scores.features.get(arch.fingerprint, {}) for arch in benchmark.architectures] if scores else None
    curves = [entry.curve for entry in benchmark.entries] if curve_features is not None else None
    return feature_table(benchmark.space, benchmark.architectures, rows, proxies, source_scores, curve_features, curves)


def benchmark_curve_features(benchmark: Benchmark, curve_epochs: int | None) -> CurveFeatures | None:
    """Choose the curve features of the first epochs of a benchmark's trainings; None for no epochs.

    Raises:
        InputError: the number of epochs is out of range.
        BenchmarkError: fewer than half of the architectures have a curve as long.
    """
    if curve_epochs is None:
        return None
    return CurveFeatures.from_curves([entry.curve for entry in benchmark.entries], curve_epochs)


def usable_combiners(columns: Columns, names: Sequence[str] | None = None) -> tuple[list[CombinerInfo], dict[str, str]]:
    """Combiners that can be fitted to a feature table.

    Args:
        columns: the table's columns.
        names: names of combiners; all if None.

    Returns:
        The combiners, and the reason, by name, for each that is left out because the table lacks what it needs.

    Raises:
        UnknownNameError: no combiner has that name.
    """
    infos = [get_combiner(name) for name in names] if names is not None else list(combiner_infos())
    reasons = {info.name: reason for info in infos if (reason := info.missing_input(columns)) is not None}
    return [info for info in infos if info.name not in reasons], reasons


def evaluate(
    benchmark: Benchmark,
    scores: ScoreTable | None = None,
    repeats: int = 5,
    folds: int = 10,
    seed: int = 0,
    progress: Progress | None = None,
    jobs: int = 2,
    combiners: Sequence[str] | None = None,
    curve_epochs: int | None = None,
) -> dict[str, Any]:
    """Evaluate proxies, baselines and combiners on a benchmark.

    Args:
        benchmark: trained architectures.
        scores: proxy scores; without them, only combiners that need none are evaluated.
        repeats: number of K-fold splits. The held-out predictions of a repeat are pooled.
        folds: K.
        seed: seed of splits and combiners. The same seed gives the same evaluation.
        progress: called after each fold.
        jobs: number of worker processes, which does not change the evaluation.
        combiners: names of the combiners to evaluate; all if None.
        curve_epochs: number of first epochs whose training curve is an input; None for none.

    Returns:
        Plain data for JSON. `published` and `scores` hold the metrics of each proxy's score without any fitting,
        `stratum` those of the stratum; `left_out` the reason, by name, for each combiner and proxy that is not used;
        `baselines` and `combiners` hold, by metric, `{"mean", "std"}` over the
        repeats, or None where it is not defined; `intervals` and `pairs` the calibration of intervals and pairwise
        probabilities; `learning_curves`, `control` (the whole procedure on accuracies shuffled within each stratum)
        and `noise` (an upper bound of the within-stratum ρ, None where it is not known).

    Raises:
        BenchmarkError: the benchmark has too few architectures, or too few of them have scores or a curve.
        InputError: the seed or the number of epochs is out of range.
        UnknownNameError: no combiner has that name.
    """
    started = time.perf_counter()
    check_seed(seed)
    check_size(benchmark)
    scores = scores.leave_out_sparse_proxies(benchmark) if scores is not None else None
    table = benchmark_features(benchmark, scores, None, benchmark_curve_features(benchmark, curve_epochs))
    y, strata = benchmark.accuracy, benchmark.strata
    usable, left_out = usable_combiners(table.columns, combiners)
    infos = [*baselines(table.columns), *usable]
    learners = [info for info in infos if info.name in LEARNING_CURVE_COMBINERS]
    splits = [structural_folds(table, y, folds, seed + repeat) for repeat in range(repeats)]
    learning_splits = splits[:MAX_LEARNING_REPEATS]
    learning_folds = len(learning_splits) * len(smaller_sizes(learning_splits))
    total_progress = _TotalProgress(progress, len(splits[0]) * (len(splits) + learning_folds + 1))
    held_out = held_out_predictions(infos, table, y, splits, seed, jobs, total_progress)
    full_size = {name: predictions.first(len(learning_splits)) for name, predictions in held_out.items()}
    curves = compute_learning_curves(learners, table, y, strata, learning_splits, full_size, seed, jobs, total_progress)
    control = shuffled_label_control(lambda *_: learners, table, y, strata, splits[0], seed, jobs, total_progress)
    return {
        "benchmark": benchmark.summary,
        "method": {"repeats": repeats, "folds": folds, "seed": seed, "learning_repeats": len(learning_splits)},
        "published": published_metrics(benchmark),
        "scores": proxy_metrics(benchmark, table),
        "stratum": _score_metrics(benchmark, strata.astype(float)),
        "left_out": {"combiners": left_out, "proxies": scores.left_out if scores is not None else {}},
        **summarize(held_out, benchmark),
        "learning_curves": curves,
        "control": control,
        "noise": estimate_noise(table, y, strata),
        "versions": {name: version(name) for name in ("numpy", "scikit-learn", "torch", "xgboost")},
        "python": platform.python_version(),
        "seconds": round(time.perf_counter() - started, 2),
    }


class _TotalProgress:
    """Progress of several cross-validations, reported as one."""

    def __init__(self, progress: Progress | None, total: int) -> None:
        self.progress, self.total, self.done = progress, total, 0

    def __call__(self, done: int, total: int) -> None:
        self.done += 1
        if self.progress is not None:
            self.progress(self.done, self.total)


def structural_folds(table: FeatureTable, y: Array, folds: int, seed: int) -> list[Split]:
    """Seeded K-fold split that depends on structure and accuracy only.

    Evaluations with and without scores or sources use the same folds.

    Args:
        table: features of n architectures; columns of proxies and sources are ignored.
        y: accuracies, shape (n,).
        folds: K.
        seed: seed of the split.
    """
    return seeded_folds(table.select(table.columns.architectural), y, folds, seed)


def summarize(held_out: Mapping[str, HeldOutPredictions], benchmark: Benchmark) -> dict[str, Any]:
    """Metrics of held-out predictions: `baselines`, `combiners`, `intervals` and `pairs` of an evaluation.

    Args:
        held_out: held-out predictions of the baselines and of combiners, by name.
        benchmark: the architectures that were predicted.

    Returns:
        Plain data; each metric is `{"mean", "std"}` over the repeats, or None where it is not defined in every repeat.
    """
    y, strata = benchmark.accuracy, benchmark.strata
    metrics = {
        name: summarize_repeats(
            [prediction_metrics(row, y, strata) | search_metrics(row, y, strata) for row in predictions.accuracy]
        )
        for name, predictions in held_out.items()
    }
    intervals = {
        name: summarize_repeats([interval_metrics(row, y, strata) for row in predictions.interval])
        for name, predictions in held_out.items()
    }
    return {
        "baselines": {name: row for name, row in metrics.items() if name in BASELINES},
        "combiners": {name: row for name, row in metrics.items() if name not in BASELINES},
        "intervals": {"level": LEVEL, "combiners": intervals},
        "pairs": {"combiners": {name: _pair_metrics(predictions) for name, predictions in held_out.items()}},
    }


def _pair_metrics(held_out: HeldOutPredictions) -> dict[str, Any]:
    """Calibration of pairwise probabilities, over all pairs of test rows and over the pairs within a stratum."""
    metrics: dict[str, Any] = {"brier": {}, "n": {}, "reliability": {}}
    every_pair = [np.ones_like(same) for same in held_out.same_stratum]
    for scope, masks in (("overall", every_pair), ("within_stratum", held_out.same_stratum)):
        repeats = [(p[mask], o[mask]) for p, o, mask in zip(held_out.probability, held_out.outcome, masks, strict=True)]
        probability, outcome = (np.concatenate(parts) for parts in zip(*repeats, strict=True))
        metrics["brier"][scope] = summarize_repeats([{"brier": brier_score(*repeat)} for repeat in repeats])["brier"]
        metrics["n"][scope] = len(probability)
        metrics["reliability"][scope] = reliability_curve(probability, outcome)
    return metrics


def published_metrics(benchmark: Benchmark) -> dict[str, Metrics]:
    """Metrics of the published proxy scores without any fitting, by proxy; larger scores are taken to be better."""
    columns = {
        proxy: np.array([as_number(entry.scores.get(proxy)) for entry in benchmark.entries])
        for proxy in benchmark.proxies
    }
    return {proxy: _score_metrics(benchmark, column) for proxy, column in columns.items()}


def proxy_metrics(benchmark: Benchmark, table: FeatureTable) -> dict[str, Metrics]:
    """Metrics of the proxy columns of a feature table without any fitting, by proxy.

    Args:
        benchmark: the architectures.
        table: their features, one row per architecture.
    """
    return {
        name.removeprefix(PROXY): _score_metrics(benchmark, table.select([name])[:, 0])
        for name in table.columns.proxies
    }


def _score_metrics(benchmark: Benchmark, column: Array) -> Metrics:
    metrics = prediction_metrics(column, benchmark.accuracy, benchmark.strata, absolute=False)
    del metrics["mae"]  # a score is no accuracy
    return metrics
