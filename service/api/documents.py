"""Conversion of results to JSON documents."""

import logging
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from typing import Any, TypeVar

from pydantic import ValidationError

import ensemble
from ensemble import card
from ensemble.data.benchmark import stratum_label
from models import Architecture, InputError, capabilities, get_space
from models.registry import SpaceInfo
from service.api.cards import EnsembleCard, HeldOutPredictions, ReferenceSet, SpaceCard
from service.api.problems import problem
from service.api.schemas import (
    BriefEstimate,
    BriefPrediction,
    BriefPredictionResponse,
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
from service.inference.queries import Detail
from service.inference.registry import EnsembleRegistry, LoadedEnsemble
from service.inference.results import (
    ItemResult,
    PredictedArchitecture,
    PredictionResult,
    ScoredArchitecture,
    ScoreResult,
)
from service.inference.scoring_context import ScoringContext

log = logging.getLogger(__name__)
Result = TypeVar("Result", bound=ScoredArchitecture)
Item = TypeVar("Item")


def score_response(result: ScoreResult) -> ScoreResponse:
    """Convert the result of a scoring request."""
    return ScoreResponse(
        scores=[_item(item, i, scored_item) for i, item in enumerate(result.items)],
        **_context_fields(result.context),
        seconds=result.seconds,
    )


def prediction_response(result: PredictionResult) -> PredictionResponse:
    """Convert the result of a prediction request."""
    items = [_item(item, i, partial(_predicted_item, result)) for i, item in enumerate(result.items)]
    return PredictionResponse(predictions=items, **_response_fields(result))


def brief_prediction_response(result: PredictionResult) -> BriefPredictionResponse:
    """Convert the result of a prediction request with `detail: brief`."""
    items = [_item(item, i, partial(_brief_prediction, result)) for i, item in enumerate(result.items)]
    return BriefPredictionResponse(predictions=items, **_response_fields(result))


def result_item(result: ItemResult, position: int) -> EstimatedItem | ScoredItem | FailedItem:
    """Convert the result of one architecture of a job or a search, or its error.

    Args:
        result: the result, or an error.
        position: index of the architecture.
    """
    if isinstance(result, PredictedArchitecture):
        return _item(result, position, estimated_item)
    return _item(result, position, scored_item)


def stored_item(result: ItemResult, position: int, detail: Detail) -> dict[str, Any]:
    """Convert the result of one architecture of a job to JSON data, as `result_item` does."""
    if detail == "brief" and isinstance(result, PredictedArchitecture):
        return _item(result, position, brief_estimate).model_dump(mode="json")
    return result_item(result, position).model_dump(mode="json")


def brief_document(document: Mapping[str, Any]) -> dict[str, Any]:
    """Shorten a job's stored prediction to the fields of `detail: brief`."""
    return {name: document.get(name) for name in BriefEstimate.model_fields}


def validated_items(
    parsed: Sequence[Architecture | InputError], make: Callable[[Architecture], Item]
) -> list[Item | FailedItem]:
    """Convert parsed architectures by `make`, and the errors of malformed ones to failed items."""
    return [_failed_item(item, i) if isinstance(item, InputError) else make(item) for i, item in enumerate(parsed)]


def scored_item(result: ScoredArchitecture) -> ScoredItem:
    """Convert the scores of an architecture."""
    return ScoredItem(**_scored_fields(result))


def estimated_item(result: PredictedArchitecture) -> EstimatedItem:
    """Convert the prediction of an architecture."""
    return EstimatedItem(**_estimated_fields(result))


def brief_estimate(result: PredictedArchitecture) -> BriefEstimate:
    """Convert the prediction of an architecture to its brief form."""
    return BriefEstimate(**_brief_fields(result))


def reference_set(loaded: LoadedEnsemble) -> ReferenceSet:
    """Describe the reference set of an ensemble."""
    held_out = {
        name: HeldOutPredictions(accuracy=accuracy.tolist(), strata=strata.astype(int).tolist())
        for name, (accuracy, strata) in loaded.ensemble.held_out_predictions.items()
    }
    proxies = {name: quantiles.tolist() for name, quantiles in loaded.ensemble.reference_set.proxy_quantiles.items()}
    return ReferenceSet(size=loaded.ensemble.reference_set.size, combiners=held_out, proxies=proxies)


def ensemble_card(manifest: Mapping[str, Any]) -> EnsembleCard:
    """Make the card of an ensemble from its manifest."""
    return EnsembleCard.model_validate(card(manifest))


def space_card(info: SpaceInfo, ensembles: EnsembleRegistry) -> SpaceCard:
    """Describe a search space, with its default settings."""
    space = get_space(info.name)
    return SpaceCard.model_validate(
        {
            **space.describe(),
            "name": space.name,
            "origin": info.origin,
            "capabilities": capabilities(space),
            "settings": space.settings,
            "presets": dict(space.presets),
            "schema": space.json_schema(),
            "stratum_label": stratum_label(space),
            "ensembles": [loaded.name for loaded in ensembles.of_space(space.name)],
        }
    )


def _item(result: Result | Exception, position: int, make: Callable[[Result], Item]) -> Item | FailedItem:
    if isinstance(result, Exception):
        return _failed_item(result, position)
    try:
        return make(result)
    except ValidationError as error:
        fingerprint = result.architecture.fingerprint
        log.error("the result of architecture %s is not finite", fingerprint, exc_info=error)
        return _failed_item(ArithmeticError("a number is not finite"), position)


def _failed_item(error: Exception, position: int) -> FailedItem:
    return FailedItem(error=problem(error, f"#/architectures/{position}"))


def _predicted_item(result: PredictionResult, item: PredictedArchitecture) -> PredictedItem:
    return PredictedItem(**_estimated_fields(item), rank=result.rank(item))


def _brief_prediction(result: PredictionResult, item: PredictedArchitecture) -> BriefPrediction:
    return BriefPrediction(**_brief_fields(item), rank=result.rank(item))


def _brief_fields(result: PredictedArchitecture) -> dict[str, Any]:
    prediction = result.prediction
    return {
        "accuracy": prediction.accuracy,
        "interval": _interval(prediction),
        "ranking_score": prediction.ranking_score,
    }


def _scored_fields(result: ScoredArchitecture) -> dict[str, Any]:
    return {
        "architecture": result.context.space.to_json(result.architecture),
        "fingerprint": result.architecture.fingerprint,
        "scores": {name: ProxyScore.from_score(score) for name, score in result.scores.items()},
        "cached": result.cached,
        "warnings": result.warnings,
    }


def _estimated_fields(result: PredictedArchitecture) -> dict[str, Any]:
    prediction, mutations = result.prediction, result.suggested_mutations
    return {
        **_scored_fields(result),
        **_estimate_fields(prediction),
        "stratum": result.stratum,
        "ensemble": result.ensemble.name,
        "ensemble_hash": result.ensemble.hash,
        "combiner": prediction.combiner,
        "combiners": {
            name: Estimate(**_estimate_fields(estimate)) if estimate else None
            for name, estimate in prediction.combiners.items()
        },
        "ranking_score": prediction.ranking_score,
        "interval_scale": prediction.interval_scale,
        "explanation": Explanation(**asdict(result.explanation)) if result.explanation else None,
        "suggested_mutations": None
        if mutations is None
        else [SuggestedMutation(**asdict(mutation)) for mutation in mutations],
    }


def _estimate_fields(estimate: ensemble.Estimate) -> dict[str, Any]:
    return {
        "accuracy": estimate.accuracy,
        "interval": _interval(estimate),
        "percentile": estimate.percentile,
    }


def _interval(estimate: ensemble.Estimate) -> Interval | None:
    interval = estimate.interval
    return None if interval is None else Interval(low=interval.low, high=interval.high, level=interval.level)


def _response_fields(result: PredictionResult) -> dict[str, Any]:
    matrix = result.win_probability
    return {
        "win_probability": None if matrix is None else [[_finite(value) for value in row] for row in matrix.tolist()],
        "ensemble": result.ensemble.name,
        "ensemble_hash": result.ensemble.hash,
        "stratum_label": stratum_label(result.ensemble.space),
        **_context_fields(result.context),
        "seconds": result.seconds,
    }


def _context_fields(context: ScoringContext) -> dict[str, Any]:
    batch = context.batch
    info = batch and ProbeBatchInfo(
        fingerprint=batch.fingerprint, source=batch.source, shapes=[list(shape) for shape in batch.shapes]
    )
    space, device = context.space, str(context.device)
    return {"space": space.name, "settings": space.settings, "device": device, "probe_batch": info}


def _finite(number: float) -> float | None:
    return number if math.isfinite(number) else None
