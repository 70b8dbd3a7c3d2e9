"""From results to the documents of `schemas`."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeVar

from ensemble import Prediction
from models import Architecture, InputError
from proxies import Score
from service.errors import problem
from service.library import Model, Probe
from service.schemas import (
    BatchCard,
    Estimate,
    FailedItem,
    PredictedItem,
    PredictionResponse,
    ProxyScore,
    ScoredItem,
    ScoreResponse,
)

T = TypeVar("T")


@dataclass(frozen=True)
class Results:
    """What became of the architectures of a request.

    Attributes:
        read: in the order posted, the architecture or what is wrong with its text.
        scores: by architecture, the scores by proxy.
        failures: by architecture, why there are no scores.
    """

    read: list[Architecture | InputError]
    scores: dict[Architecture, dict[str, Score]] = field(default_factory=dict)
    failures: dict[Architecture, Exception] = field(default_factory=dict)

    @cached_property
    def architectures(self) -> list[Architecture]:
        """Those that could be read, each once."""
        return list(dict.fromkeys(one for one in self.read if isinstance(one, Architecture)))

    def items(self, make: Callable[[Architecture], T]) -> list[T | FailedItem]:
        """In the order posted, what `make` makes of an architecture, or its error."""

        def item(i: int, one: Architecture | InputError) -> T | FailedItem:
            if isinstance(one, Architecture) and one not in self.failures:
                return make(one)
            error = one if isinstance(one, InputError) else self.failures[one]
            return FailedItem(error=problem(error, f"#/architectures/{i}"))

        return [item(i, one) for i, one in enumerate(self.read)]


def scores(results: Results, probe: Probe, seconds: float) -> ScoreResponse:
    """The scores of each architecture, in the order posted."""
    items = results.items(lambda arch: ScoredItem(**_scored(arch, results, probe)))
    return ScoreResponse(scores=items, device=str(probe.device), batch=_batch(probe), seconds=seconds)


def predictions(
    results: Results, said: Mapping[Architecture, Prediction], model: Model, probe: Probe, seconds: float
) -> PredictionResponse:
    """The prediction for each architecture, in the order posted, ranked among all."""
    orders = [said[one].order for one in results.read if isinstance(one, Architecture) and one in said]
    general = list(model.warnings)
    if probe.seed != model.probe.seed and any(results.scores.values()):
        general.append(f"the ensemble was fitted on scores of seed {model.probe.seed}, these are of seed {probe.seed}")

    def item(arch: Architecture) -> PredictedItem:
        one = said[arch]
        facts = _scored(arch, results, probe)
        warned = list(dict.fromkeys([*facts.pop("warnings"), *one.warnings, *general]))
        return PredictedItem(
            **facts,
            accuracy=one.accuracy,
            percentile=one.percentile,
            rank=1 + sum(order > one.order for order in orders),
            combiner=one.combiner,
            combiners={name: Estimate(**its) if its else None for name, its in one.combiners.items()},
            warnings=warned,
        )

    return PredictionResponse(
        predictions=results.items(item),
        ensemble=model.name,
        device=str(probe.device),
        batch=_batch(probe),
        seconds=seconds,
    )


def _scored(arch: Architecture, results: Results, probe: Probe) -> dict[str, Any]:
    return {
        "architecture": probe.space.to_json(arch),
        "fingerprint": arch.fingerprint,
        "scores": {name: ProxyScore.of(one) for name, one in results.scores[arch].items()},
        "warnings": probe.space.warnings(arch),
    }


def _batch(probe: Probe) -> BatchCard:
    samples, coordinates, frames, joints, persons = probe.batch.x.shape
    shape = (samples, coordinates, frames, joints, persons)
    return BatchCard(fingerprint=probe.batch.fingerprint, source=probe.batch.source, shape=shape)
