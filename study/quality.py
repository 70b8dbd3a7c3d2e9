"""Quality of a study's predictions, cross-validated on its own observations, against its baselines."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ensemble.combiners.transfer import MIN_ROWS, Transfer
from ensemble.data.features import feature_table
from ensemble.evaluation.metrics import spearman
from models import EncodedSpace
from study.calibration import FOLDS, Calibration
from study.predictor import StudyPredictor

Array = NDArray[np.float64]
SIZES = (10, 20, 35, 50, 100, 200, 500, 1000)
"""Numbers of trained architectures at which the curve is measured, besides all of them."""


@dataclass(frozen=True)
class QualityPoint:
    """Quality of a study that has trained the first n architectures, measured on all of its trained architectures.

    Each is predicted by models that were fitted without it. None where a metric is not defined.

    Attributes:
        n: number of trained architectures.
        spearman: Spearman's ρ of the predictions.
        sources_spearman: that of the sources alone, as a study without observations predicts.
        stratum_spearman: that of the mean of the architecture's stratum, e.g. of its number of layers.
        coverage: fraction of the values within their interval.
    """

    n: int
    spearman: float | None
    sources_spearman: float | None
    stratum_spearman: float | None
    coverage: float | None


@dataclass(frozen=True)
class Quality:
    """Quality of a study; None where a metric is not defined.

    Attributes:
        observations: number of observations that it rests on.
        trained: number of trained architectures.
        spearman, sources_spearman, stratum_spearman, coverage: as in `QualityPoint`, with all trained architectures.
        stratum_label: the stratum in words; None in a space without strata.
        curve: the same by number of trained architectures.
    """

    observations: int
    trained: int
    spearman: float | None
    sources_spearman: float | None
    stratum_spearman: float | None
    coverage: float | None
    stratum_label: str | None
    curve: tuple[QualityPoint, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the quality as plain JSON."""
        return {**asdict(self), "curve": [asdict(point) for point in self.curve]}


def estimate_quality(predictor: StudyPredictor) -> Quality:
    """Estimate the quality of a study's predictions by cross-validation on its own observations.

    The subsets of the curve are nested, in an order that is a hash of the architecture: the result depends on the set
    of observations, not on their order.

    Args:
        predictor: predictor fitted to all observations.
    """
    space, X = predictor.space, predictor.training_features
    architectures = predictor.training_set.architectures
    y = predictor.definition.metric.sign * predictor.training_set.values
    strata = feature_table(space, architectures).strata if isinstance(space, EncodedSpace) else None
    sources_alone = predictor.new_model().fit(X[:0], y[:0]).predict(X) if predictor.sources and len(y) else None
    points = []
    for size in [size for size in SIZES if size < len(y)] + [len(y)]:
        model = predictor.model if size == len(y) else predictor.new_model().fit(X[:size], y[:size])
        points.append(_point(size, X, y, strata, sources_alone, model))
    last = points[-1]
    return Quality(
        predictor.num_observations,
        len(y),
        last.spearman,
        last.sources_spearman,
        last.stratum_spearman,
        last.coverage,
        space.stratum_label if isinstance(space, EncodedSpace) else None,
        tuple(points) if len(y) >= SIZES[0] else (),
    )


def quality_notes(quality: Quality) -> tuple[str, ...]:
    """Return the baselines that a study does not beat, each as a note."""
    notes = []
    baselines = {
        "the sources alone": quality.sources_spearman,
        f"the {quality.stratum_label} alone": quality.stratum_spearman,
    }
    for name, baseline in baselines.items():
        if baseline is not None and (quality.spearman is None or quality.spearman <= baseline):
            ours = "undefined" if quality.spearman is None else f"{quality.spearman:.2f}"
            notes.append(f"it does not order better than {name}: ρ {ours} against {baseline:.2f}")
    return tuple(notes)


def _point(
    size: int, X: Array, y: Array, strata: Array | None, sources_alone: Array | None, model: Transfer
) -> QualityPoint:
    rest = slice(size, None)
    scores = np.concatenate([model.held_out_, model.predict(X[rest]) if size < len(y) else np.empty(0)])
    coverage = None
    if size >= MIN_ROWS:
        calibration = Calibration.fit(model.held_out_, y[:size])
        low, high = calibration.intervals(calibration.predict(scores))[rest].T
        coverage = float(np.mean([*calibration.covered, *((low <= y[rest]) & (y[rest] <= high))]))
    return QualityPoint(
        size,
        spearman(scores, y) if size >= 2 else None,
        None if sources_alone is None else spearman(sources_alone, y),
        None if strata is None else spearman(_stratum_means(strata, y, size), y),
        coverage,
    )


def _stratum_means(strata: Array, y: Array, size: int) -> Array:
    """Mean of each row's stratum over the first `size` rows without the row's fold; the overall mean of these else."""
    if size < 2:
        return np.full(len(y), np.nan)
    folds = np.arange(len(y)) % min(FOLDS, size)
    result = np.empty(len(y))
    for fold in np.unique(folds):
        train = np.flatnonzero(folds[:size] != fold)
        test = np.flatnonzero((folds == fold) & (np.arange(len(y)) < size))
        result[test] = _means_of(strata[train], y[train], strata[test])
    result[size:] = _means_of(strata[:size], y[:size], strata[size:])
    return result


def _means_of(strata: Array, y: Array, queried: Array) -> Array:
    levels, groups = np.unique(strata, return_inverse=True)
    means = dict(zip(levels.tolist(), (np.bincount(groups, y) / np.bincount(groups)).tolist(), strict=True))
    overall = float(y.mean())
    return np.array([means.get(level, overall) for level in queried.tolist()])
