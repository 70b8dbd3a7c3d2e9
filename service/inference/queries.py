"""Parameters of scoring and prediction, apart from the architectures."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class ScoreQuery:
    """Parameters of scoring.

    Attributes:
        proxies: names of the proxies; None for all.
        seed: seed of initial weights and random inputs; None for the default ensemble's.
    """

    proxies: Sequence[str] | None = None
    seed: int | None = None


@dataclass(frozen=True)
class PredictionQuery:
    """Parameters of prediction.

    Attributes:
        proxies: names of the proxies; None for all that the ensemble uses. Without any, the prediction is from
            structure alone.
        seed: seed of initial weights and random inputs; None for the ensemble's.
        ensemble: name of the ensemble; None for the default one.
        combiner: name of the combiner; None for the ensemble's default.
        explain: add explanations and suggested mutations.
    """

    proxies: Sequence[str] | None = None
    seed: int | None = None
    ensemble: str | None = None
    combiner: str | None = None
    explain: bool = False


Query = ScoreQuery | PredictionQuery
