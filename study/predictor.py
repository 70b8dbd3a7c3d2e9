"""Predictor of a study: fitted to its observations and to the scores of its sources."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from common.errors import CapabilityError
from ensemble.calibration.conformal import LEVEL
from ensemble.combiners.transfer import MIN_ROWS, Transfer, standardized_target
from ensemble.data.features import feature_table
from ensemble.prediction import Interval
from ensemble.ranks import doubled_ranks
from ensemble.source import Source
from models import Architecture, SearchSpace
from study.calibration import Calibration
from study.definition import BOUNDS, StudyDefinition
from study.failures import FailureClassifier
from study.observation import Observation
from study.observed_range import ObservedRange
from study.partial_curves import PartialCurves, unused_note
from study.training_set import TrainingSet

Array = NDArray[np.float64]
SAMPLE_SIZE = 1000
"""Random architectures of the space among which percentiles are taken."""


@dataclass(frozen=True)
class StudyPrediction:
    """Prediction of a study for one architecture.

    Attributes:
        score: sort key, larger is better in the study's direction.
        percentile: fraction of random architectures of the space that are predicted to be worse; ties count half.
        value: predicted metric, in its unit; None from fewer than `MIN_ROWS` trained architectures.
        interval: prediction interval of the metric; None where `value` is.
        failure_probability: probability that the training fails; None if too few have failed or succeeded.
        warnings: reasons to trust the prediction less.
        curve_length: number of values of the curve so far that the prediction of a running training rests on; None if
            it rests on none.
    """

    score: float
    percentile: float
    value: float | None
    interval: Interval | None
    failure_probability: float | None
    warnings: tuple[str, ...] = ()
    curve_length: int | None = None


class StudyPredictor:
    """Predictor that was fitted to the observations of a study; immutable and safe to share between threads.

    It depends on the set of observations, not on their order.

    Attributes:
        definition: definition of the study.
        space: its search space.
        sources: the sources that it was fitted to.
        training_set: the observations that it was fitted to, by architecture.
        training_features: features of the trained architectures, (n, columns).
        model: combiner of the sources' scores and the structure.
        reference: features of random architectures, which show the distribution of the columns.
        notes: reasons not to trust it yet, and the basis of its answers.
    """

    definition: StudyDefinition
    space: SearchSpace[Any]
    sources: tuple[Source, ...]
    training_set: TrainingSet
    training_features: Array
    model: Transfer
    reference: Array
    notes: tuple[str, ...]
    _seed: int
    _sample: Array
    _calibration: Calibration | None
    _failures: FailureClassifier | None
    _range: ObservedRange | None
    _partial_curves: PartialCurves

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

        Raises:
            CapabilityError: the space has neither structural features nor costs.
        """
        self = cls()
        self.definition, self.space, self.sources = definition, space, tuple(sources)
        self.training_set = TrainingSet.from_observations(observations)
        trained = self.training_set.architectures
        y = definition.metric.sign * self.training_set.values
        self.training_features = feature_matrix(space, self.sources, trained)
        self.reference = reference_matrix(space, self.sources)
        self._seed = seed
        self.model = self.new_model().fit(self.training_features, y)
        self._sample = np.sort(self.model.predict(self.reference))
        enough = len(y) >= MIN_ROWS
        self._calibration = Calibration.fit(self.model.held_out_, y) if enough else None
        self._range = ObservedRange.from_table(feature_table(space, trained)) if enough else None
        held_out = self._calibration.held_out if self._calibration is not None and np.ptp(y) > 0 else None
        self._partial_curves = PartialCurves.fit(self.training_set, held_out, definition.metric.sign)
        self._failures = FailureClassifier.fit(space, trained, self.training_set.failed, seed)
        self.notes = self._notes()
        return self

    @property
    def num_observations(self) -> int:
        """Number of observations that it was fitted to, failed and running trainings included."""
        return self.training_set.num_observations

    @property
    def num_trained(self) -> int:
        """Number of architectures whose training succeeded."""
        return len(self.training_set.architectures)

    @property
    def observed(self) -> frozenset[Architecture]:
        """All observed architectures, those whose training failed or still runs included."""
        observed = self.training_set
        return frozenset((*observed.architectures, *observed.failed, *observed.running))

    @property
    def held_out_values(self) -> dict[Architecture, float]:
        """Predicted value of each trained architecture, by models that were fitted without it.

        Empty below `MIN_ROWS` trained architectures.
        """
        if self._calibration is None:
            return {}
        values = self._in_unit(self._calibration.held_out).tolist()
        return dict(zip(self.training_set.architectures, values, strict=True))

    @property
    def calibration(self) -> Calibration | None:
        """Calibration of the scores; None below `MIN_ROWS` trained architectures."""
        return self._calibration

    def new_model(self) -> Transfer:
        """Return an unfitted combiner with the settings of `model`."""
        return Transfer(len(self.sources), self._seed, self.reference)

    def predict(self, architectures: Sequence[Architecture]) -> list[StudyPrediction]:
        """Predict architectures of the study's space; one whose training still runs also from its curve so far."""
        if not architectures:
            return []
        scores = self.scores(architectures)
        ends = self._ends(architectures, scores)
        percentiles = 0.5 * doubled_ranks(self._sample, scores) / len(self._sample)
        values, intervals = self._values(ends, len(architectures))
        failures = self.failure_probabilities(architectures)
        warnings = [self.space.warnings(architecture) for architecture in architectures]
        if self._range is not None:
            outside = self._range.warnings(self.space, feature_table(self.space, architectures))
            warnings = [[*first, *second] for first, second in zip(warnings, outside, strict=True)]
        return [
            StudyPrediction(
                float(scores[i]),
                float(percentiles[i]),
                values[i],
                intervals[i],
                None if failures is None else float(failures[i]),
                tuple(warnings[i]),
                self._partial_curves.length(architecture),
            )
            for i, architecture in enumerate(architectures)
        ]

    def scores(self, architectures: Sequence[Architecture]) -> Array:
        """Score architectures by sources and structure, larger is better, (m,)."""
        return self.model.predict(self.features(architectures))

    def features(self, architectures: Sequence[Architecture]) -> Array:
        """Return the scores of the sources, the structural features and the costs, (m, columns)."""
        return feature_matrix(self.space, self.sources, architectures)

    def failure_probabilities(self, architectures: Sequence[Architecture]) -> Array | None:
        """Return the probability that each training fails, (m,); None if too few have failed or succeeded."""
        return None if self._failures is None else self._failures.predict(self.space, architectures)

    def _ends(self, architectures: Sequence[Architecture], scores: Array) -> Array | None:
        """Predicted values and the ends of their intervals, (m, 3), larger is better; None without a calibration.

        Partial curves are taken into account, in `scores` too.
        """
        if self._calibration is None:
            return None
        calibrated = self._calibration.predict(scores)
        ends = np.column_stack([calibrated, self._calibration.intervals(calibrated)])
        for i, architecture in enumerate(architectures):
            if (prediction := self._partial_curves.predict(architecture, float(calibrated[i]))) is not None:
                ends[i] = prediction
                scores[i] = self._score_of(prediction[0])
        return ends

    def _score_of(self, value: float) -> float:
        """Score of an architecture that is known to have a value, larger is better."""
        y = self.definition.metric.sign * self.training_set.values
        levels, first = np.unique(y, return_index=True)
        targets = standardized_target(y)[first]
        excess = value - float(np.clip(value, levels[0], levels[-1]))
        return float(np.interp(value, levels, targets)) + excess / float(y.std())

    def _values(self, ends: Array | None, number: int) -> tuple[list[float | None], list[Interval | None]]:
        if ends is None:
            return [None] * number, [None] * number
        values, intervals = self._in_unit(ends[:, 0]), np.sort(self._in_unit(ends[:, 1:]))  # the sign reverses them
        return values.tolist(), [Interval(low, high, LEVEL) for low, high in intervals.tolist()]

    def _in_unit(self, values: Array) -> Array:
        """Convert values that are larger if better to the metric and its unit."""
        low, high = BOUNDS[self.definition.metric.unit]
        return np.clip(self.definition.metric.sign * values, low, high) + 0.0

    def _notes(self) -> tuple[str, ...]:
        notes = []
        failed = len(self.training_set.failed)
        names = ", ".join(source.name for source in self.sources)
        if self.num_trained < 2:
            if self.sources:
                notes.append(f"predictions rest on the sources alone, as the weighted mean of their scores: {names}")
            else:
                notes.append("there are neither sources nor two trained architectures: all scores are equal")
        elif np.ptp(self.training_set.values) == 0:
            notes.append(f"all {self.num_trained} trained architectures have the same value: there is no order")
        if self.num_trained < MIN_ROWS:
            notes.append(few_rows_note(self.num_trained))
        if failed and self._failures is None:
            notes.append(
                f"{failed} of {failed + self.num_trained} observed architectures failed to train: too few have failed "
                f"or succeeded for a failure probability"
            )
        if unused := self._partial_curves.num_unused:
            notes.append(unused_note(unused, len(self.training_set.running)))
        return tuple(notes)


def feature_matrix(space: SearchSpace[Any], sources: Sequence[Source], architectures: Sequence[Architecture]) -> Array:
    """Return the scores of the sources, the structural features and the costs, (m, columns).

    Raises:
        CapabilityError: the space has neither structural features nor costs.
    """
    table = feature_table(space, architectures).values
    if not table.shape[1]:
        raise CapabilityError(space.name, "structural features or costs")
    if not architectures:
        return np.empty((0, len(sources) + table.shape[1]))
    return np.column_stack([*(source.scores(architectures) for source in sources), table])


def reference_matrix(space: SearchSpace[Any], sources: Sequence[Source]) -> Array:
    """Return the features of `SAMPLE_SIZE` random architectures, always the same ones, (r, columns)."""
    rng = np.random.default_rng(0)
    return feature_matrix(space, sources, [space.sample(rng) for _ in range(SAMPLE_SIZE)])


def few_rows_note(num_trained: int) -> str:
    """Return the note on fewer than `MIN_ROWS` trained architectures."""
    count = "1 trained architecture" if num_trained == 1 else f"{num_trained} trained architectures"
    return f"{count}: scores and percentiles only, values and intervals from {MIN_ROWS} on"
