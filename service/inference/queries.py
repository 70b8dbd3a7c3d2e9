"""Parameters of scoring and prediction, apart from the architectures."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Detail = Literal["full", "brief"]
"""Form of the predictions in an answer."""


@dataclass(frozen=True)
class ScoreQuery:
    """Parameters of scoring.

    Attributes:
        proxies: names of the proxies; None for all.
        seed: seed of initial weights and random inputs; None for the ensemble's, or 0 for a space without one.
        space: name of the search space; None for the default ensemble's.
        settings: settings of the space; None for the ensemble's, or the space's defaults.
        batch: fields of the probe batch's specification; None for the ensemble's batch, or the task's default.
    """

    proxies: Sequence[str] | None = None
    seed: int | None = None
    space: str | None = None
    settings: Mapping[str, Any] | None = None
    batch: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class PredictionQuery:
    """Parameters of prediction.

    Attributes:
        proxies: names of the proxies; None for all that the ensemble uses. Without any, the prediction is from
            structure alone.
        seed: seed of initial weights and random inputs; None for the ensemble's.
        ensemble: name of the ensemble; None for the one of the space.
        combiner: name of the combiner; None for the ensemble's default.
        explain: add explanations and suggested mutations.
        space: name of the search space; None for the ensemble's.
        settings: settings of the space that the ensemble must have; None for any.
        detail: form of the predictions in the answer; no prediction depends on it.
    """

    proxies: Sequence[str] | None = None
    seed: int | None = None
    ensemble: str | None = None
    combiner: str | None = None
    explain: bool = False
    space: str | None = None
    settings: Mapping[str, Any] | None = None
    detail: Detail = "full"


Query = ScoreQuery | PredictionQuery
