"""Predictor of a study: fitted to its observations and to the scores of its sources."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.isotonic import IsotonicRegression

from ensemble.combiners.transfer import MIN_ROWS, Transfer
from ensemble.data.features import feature_table
from ensemble.prediction import Interval
from ensemble.source import Source
from models import Architecture, SearchSpace
from study.definition import BOUNDS, StudyDefinition
from study.observation import Observation

Array = NDArray[np.float64]
SAMPLE_SIZE = 1000
"""Random architectures of the space among which percentiles are taken."""
LEVEL = 0.9


@dataclass(frozen=True)
class StudyPrediction:
    """Prediction of a study for one architecture.

    Attributes:
        score: sort key, larger is better in the study's direction.
        percentile: fraction of random architectures of the space that are predicted to be worse.
        value: predicted metric, in its unit; None from fewer than `MIN_ROWS` successful observations.
        interval: prediction interval of the metric; None where `value` is.
        failure_probability: probability that the training fails; None if too few have failed or succeeded.
        warnings: reasons to trust the prediction less.
    """

    score: float
    percentile: float
    value: float | None
    interval: Interval | None
    failure_probability: float | None
    warnings: tuple[str, ...] = ()


class StudyPredictor:
    """Predictor that was fitted to the observations of a study; immutable and safe to share between threads.

    It depends on the set of observations, not on their order.

    Attributes:
        definition: definition of the study.
        space: its search space.
        num_observations: number of observations that it was fitted to, failed trainings included.
        num_trained: number of architectures among them whose training succeeded.
        notes: reasons not to trust it yet, and what its answers rest on.
    """

    definition: StudyDefinition
    space: SearchSpace[Any]
    num_observations: int
    num_trained: int
    notes: tuple[str, ...]
    _sources: tuple[Source, ...]
    _model: Transfer
    _sample: Array
    _curve: IsotonicRegression | None
    _tails: Array

    @classmethod
    def fit(
        cls,
        definition: StudyDefinition,
        space: SearchSpace[Any],
        observations: Sequence[Observation],
        sources: Sequence[Source] = (),
        seed: int = 0,
    ) -> Self:
        """Fit to observations.

        Args:
            definition: definition of the study.
            space: its search space.
            observations: its observations, in any order; those of the same architecture count as their mean.
            sources: the sources that the definition names.
            seed: seed of the estimators.
        """
        self = cls()
        self.definition, self.space, self._sources = definition, space, tuple(sources)
        self.num_observations = len(observations)
        values: dict[Architecture, list[float]] = {}
        for observation in sorted(observations, key=lambda item: item.id):
            if observation.value is not None:
                values.setdefault(observation.architecture, []).append(observation.value)
        architectures = sorted(values, key=lambda arch: arch.fingerprint)
        y = np.array([np.mean(values[arch]) for arch in architectures]) * definition.metric.sign
        self.num_trained = len(y)
        self._model = Transfer(len(sources), seed).fit(self._features(architectures), y)
        rng = np.random.default_rng(0)
        sample = self._model.predict(self._features([space.sample(rng) for _ in range(SAMPLE_SIZE)]))
        self._sample = np.sort(sample)
        self._curve = None
        if len(y) >= MIN_ROWS:
            self._curve = IsotonicRegression(out_of_bounds="clip").fit(self._model.held_out_, y)
            residuals = y - self._curve.predict(self._model.held_out_)
            self._tails = np.quantile(residuals, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
        self.notes = self._notes()
        return self

    def predict(self, architectures: Sequence[Architecture]) -> list[StudyPrediction]:
        """Predict architectures of the study's space."""
        if not architectures:
            return []
        scores = self._model.predict(self._features(architectures))
        percentiles = np.searchsorted(self._sample, scores) / len(self._sample)
        values = None if self._curve is None else self._curve.predict(scores)
        predictions = []
        for i, (score, percentile) in enumerate(zip(scores.tolist(), percentiles.tolist(), strict=True)):
            value = interval = None
            if values is not None:
                value, interval = self._in_unit(values[i])
            predictions.append(StudyPrediction(score, percentile, value, interval, None))
        return predictions

    def _in_unit(self, value: float) -> tuple[float, Interval]:
        low, high = BOUNDS[self.definition.metric.unit]
        sign = self.definition.metric.sign
        bounds = sorted(float(np.clip(sign * (value + tail), low, high)) for tail in self._tails)
        return float(np.clip(sign * value, low, high)), Interval(bounds[0], bounds[1], LEVEL)

    def _features(self, architectures: Sequence[Architecture]) -> Array:
        columns = [source.scores(architectures) for source in self._sources]
        table = feature_table(self.space, architectures).values
        return np.column_stack([*columns, table]) if columns else table

    def _notes(self) -> tuple[str, ...]:
        if self.num_trained >= MIN_ROWS:
            return ()
        origin = "the sources' mean rank" if self.num_trained < 2 else f"{self.num_trained} trained architectures"
        return (
            f"predictions rest on {origin}: ranks and percentiles only, "
            f"values and intervals from {MIN_ROWS} trained architectures on",
        )
