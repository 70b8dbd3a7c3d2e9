"""From results to the documents of `schemas`."""

import logging
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any, TypeVar

from pydantic import ValidationError

import ensemble
from ensemble import Prediction
from models import Architecture, InputError
from proxies import Score
from service.api.problems import problem
from service.api.schemas import (
    Estimate,
    EstimatedItem,
    Explanation,
    FailedItem,
    Interval,
    PredictedItem,
    PredictionResponse,
    ProbeBatchInfo,
    ProxyScore,
    ScoredItem,
    ScoreResponse,
    SuggestedMutation,
)
from service.inference.registry import LoadedEnsemble, Probe

log = logging.getLogger(__name__)
T = TypeVar("T")
Matrix = list[list[float | None]]


@dataclass(frozen=True)
class Results:
    """What became of the architectures of a request.

    Attributes:
        read: in the order posted, the architecture or what is wrong with its text.
        scores: by architecture, the scores by proxy.
        failures: by architecture, why there are no scores.
        computed: those that something had to be computed for.
    """

    read: list[Architecture | InputError]
    scores: dict[Architecture, dict[str, Score]] = field(default_factory=dict)
    failures: dict[Architecture, Exception] = field(default_factory=dict)
    computed: set[Architecture] = field(default_factory=set)

    @cached_property
    def architectures(self) -> list[Architecture]:
        """Those that could be read, each once."""
        return list(dict.fromkeys(one for one in self.read if isinstance(one, Architecture)))

    @property
    def outcomes(self) -> dict[str, int]:
        """How many of those posted were answered, could not be read, and failed."""
        unreadable = sum(isinstance(one, InputError) for one in self.read)
        failed = sum(one in self.failures for one in self.read) if self.failures else 0
        return {"succeeded": len(self.read) - unreadable - failed, "invalid": unreadable, "failed": failed}

    def items(self, make: Callable[[Architecture], T]) -> list[T | FailedItem]:
        """In the order posted, what `make` makes of an architecture, or its error."""

        def item(i: int, one: Architecture | InputError) -> T | FailedItem:
            error = one if isinstance(one, InputError) else self.failures.get(one)
            if isinstance(one, Architecture) and error is None:
                try:
                    return make(one)
                except ValidationError as invalid:
                    log.error("no answer can be made of architecture %s", one.fingerprint, exc_info=invalid)
                    error = ArithmeticError("a number is not finite")
            assert error is not None
            return FailedItem(error=problem(error, f"#/architectures/{i}"))

        return [item(i, one) for i, one in enumerate(self.read)]


@dataclass(frozen=True)
class EnsembleOutput:
    """What an ensemble said of the architectures of a request; explanations and edits where they were asked for."""

    predictions: Mapping[Architecture, Prediction]
    explanations: dict[Architecture, ensemble.Explanation] = field(default_factory=dict)
    edits: dict[Architecture, list[ensemble.SuggestedMutation]] = field(default_factory=dict)


def scores(results: Results, probe: Probe, seconds: float) -> ScoreResponse:
    """The scores of each architecture, in the order posted."""
    items = scored(results, probe)
    return ScoreResponse(scores=items, device=str(probe.device), probe_batch=_batch(probe), seconds=seconds)


def predictions(
    results: Results, said: EnsembleOutput, beats: Matrix | None, model: LoadedEnsemble, probe: Probe, seconds: float
) -> PredictionResponse:
    """The prediction for each architecture, in the order posted, ranked among all."""
    orders = [said.predictions[arch].ranking_score for arch in _predicted(results, said).values()]

    def item(arch: Architecture) -> PredictedItem:
        rank = 1 + sum(order > said.predictions[arch].ranking_score for order in orders)
        return PredictedItem(**_estimated(arch, results, said, model, probe), rank=rank)

    return PredictionResponse(
        predictions=results.items(item),
        win_probability=beats,
        ensemble=model.name,
        ensemble_hash=model.hash,
        device=str(probe.device),
        probe_batch=_batch(probe),
        seconds=seconds,
    )


def estimated(
    results: Results, said: EnsembleOutput, model: LoadedEnsemble, probe: Probe
) -> list[EstimatedItem | FailedItem]:
    """The prediction for each architecture, in the order posted, by itself."""
    return results.items(lambda arch: EstimatedItem(**_estimated(arch, results, said, model, probe)))


def scored(results: Results, probe: Probe) -> list[ScoredItem | FailedItem]:
    """The scores of each architecture, in the order posted."""
    return results.items(lambda arch: ScoredItem(**_scored(arch, results, probe, probe.space.warnings(arch))))


def _estimated(
    arch: Architecture, results: Results, said: EnsembleOutput, model: LoadedEnsemble, probe: Probe
) -> dict[str, Any]:
    one = said.predictions[arch]
    return {
        **_scored(arch, results, probe, one.warnings),
        **_estimate(one),
        "ensemble": model.name,
        "ensemble_hash": model.hash,
        "combiner": one.combiner,
        "combiners": {name: Estimate(**_estimate(its)) if its else None for name, its in one.combiners.items()},
        "interval_scale": one.interval_scale,
        "explanation": _explanation(said.explanations[arch]) if arch in said.explanations else None,
        "suggested_mutations": [_mutation(edit) for edit in said.edits[arch]] if arch in said.edits else None,
    }


def _predicted(results: Results, said: EnsembleOutput) -> dict[int, Architecture]:
    """The architectures that have a prediction, by their places in the request."""
    return {i: one for i, one in enumerate(results.read) if isinstance(one, Architecture) and one in said.predictions}


def _estimate(estimate: ensemble.Estimate) -> dict[str, Any]:
    return {
        "accuracy": estimate.accuracy,
        "interval": Interval(**asdict(estimate.interval)),
        "percentile": estimate.percentile,
    }


def _explanation(explanation: ensemble.Explanation) -> Explanation:
    return Explanation(**asdict(explanation))


def _mutation(suggested: ensemble.SuggestedMutation) -> SuggestedMutation:
    return SuggestedMutation(**asdict(suggested))


def beats(results: Results, said: EnsembleOutput, model: LoadedEnsemble) -> Matrix:
    """The probabilities in the order posted; None where an architecture has no prediction."""
    good, number = _predicted(results, said), len(results.read)
    matrix: Matrix = [[None] * number for _ in range(number)]
    architectures = list(good.values())
    known = model.ensemble.win_probability(architectures, [said.predictions[arch] for arch in architectures])
    for i, row in zip(good, known, strict=True):
        for j, probability in zip(good, row, strict=True):
            matrix[i][j] = float(probability) if math.isfinite(probability) else None
    return matrix


def _scored(arch: Architecture, results: Results, probe: Probe, warnings: list[str]) -> dict[str, Any]:
    return {
        "architecture": probe.space.to_json(arch),
        "fingerprint": arch.fingerprint,
        "scores": {name: ProxyScore.from_score(one) for name, one in results.scores[arch].items()},
        "cached": arch not in results.computed,
        "warnings": warnings,
    }


def _batch(probe: Probe) -> ProbeBatchInfo:
    return ProbeBatchInfo(fingerprint=probe.batch.fingerprint, source=probe.batch.source, shape=probe.shape)
