"""Results of `Ensemble.predict`."""

from dataclasses import dataclass, field

from ensemble.calibration.conformal import LEVEL


@dataclass(frozen=True)
class Interval:
    """Prediction interval of an accuracy.

    Attributes:
        low, high: bounds, fractions.
        level: nominal coverage, the probability that the accuracy lies between the bounds.
    """

    low: float
    high: float
    level: float = LEVEL


@dataclass(frozen=True)
class Estimate:
    """Prediction of one combiner.

    Attributes:
        accuracy: a fraction; None from an ensemble that only ranks.
        interval: prediction interval around `accuracy`; None where there is no accuracy.
        percentile: fraction of the reference set that is predicted to be worse.
    """

    accuracy: float | None
    interval: Interval | None
    percentile: float


@dataclass(frozen=True)
class Prediction(Estimate):
    """Prediction of an ensemble for one architecture.

    Attributes:
        combiner: name of the combiner that the estimate is from.
        ranking_score: sort key within a set, larger is better: the accuracy; the number of contests won inside the set
            for a combiner that compares the architectures of a set with each other; a score without unit from an
            ensemble that only ranks.
        combiners: estimate of every combiner; None for one that lacks proxy scores.
        interval_scale: 1 for an architecture and scores within the reference set's range; else the smallest factor by
            which the interval is widened.
        warnings: reasons to trust the prediction less.
    """

    combiner: str
    ranking_score: float
    combiners: dict[str, Estimate | None]
    interval_scale: float
    warnings: list[str] = field(default_factory=list)
