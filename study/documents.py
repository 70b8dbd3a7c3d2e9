"""JSON documents of a study: its state, and its export."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from common.errors import InputError
from ensemble.combiners.transfer import MIN_ROWS
from models import Architecture, SearchSpace, get_space
from study.definition import StudyDefinition, StudyMetric
from study.observation import Observation
from study.parsing import parse_observations
from study.predictor import StudyPrediction, StudyPredictor, few_rows_note
from study.quality import Quality, quality_notes
from study.training_set import TrainingSet

FORMAT = "archrank-study-1"
"""Format of exported studies."""
NUM_BEST = 10


def export_study(
    definition: StudyDefinition, space: SearchSpace[Any], observations: Sequence[Observation]
) -> dict[str, Any]:
    """Return a study as one JSON document, which `import_study` reads; observations are sorted by id."""
    unique = {observation.id: observation for observation in observations}
    rows = [observation.to_json(space) for _, observation in sorted(unique.items())]
    return {"format": FORMAT, "study": definition.to_json(), "observations": rows}


def import_study(document: Any) -> tuple[StudyDefinition, SearchSpace[Any], list[Observation]]:
    """Validate an exported study.

    Returns:
        Its definition, its search space and its observations.

    Raises:
        InputError: the document is malformed; the error names the field.
    """
    fields = _fields(document, "document", ("format", "study", "observations"))
    if fields["format"] != FORMAT:
        raise InputError("format", fields["format"], f'"{FORMAT}"')
    definition = parse_definition(fields["study"], "study")
    space = _space(definition)
    return definition, space, parse_observations(space, definition.metric, fields["observations"])


def parse_definition(data: Any, place: str = "study") -> StudyDefinition:
    """Validate the JSON of a definition.

    Raises:
        InputError: it is malformed, or its space or a setting is unknown; the error names the field.
    """
    fields = _fields(data, place, ("name", "space", "settings", "task", "metric", "sources"))
    metric = _fields(fields["metric"], f"{place}.metric", ("name", "direction", "unit"))
    if not isinstance(fields["space"], str):
        raise InputError(f"{place}.space", fields["space"], "the name of a search space")
    if not isinstance(fields["settings"], dict):
        raise InputError(f"{place}.settings", fields["settings"], "an object")
    if not isinstance(fields["sources"], list):
        raise InputError(f"{place}.sources", fields["sources"], "a list of names of ensembles")
    try:
        definition = StudyDefinition(
            fields["name"],
            fields["space"],
            fields["settings"],
            fields["task"],
            StudyMetric(**metric),
            tuple(fields["sources"]),
        )
        space = _space(definition)
    except InputError as error:
        raise error.within(place) from error
    return replace(definition, settings=space.settings)  # those that are not given have their defaults


def state_document(
    definition: StudyDefinition,
    space: SearchSpace[Any],
    observations: Sequence[Observation],
    predictor: StudyPredictor | None = None,
    quality: Quality | None = None,
    **extra: Any,
) -> dict[str, Any]:
    """Return the state of a study as plain JSON.

    Args:
        definition: its definition.
        space: its search space.
        observations: all of its observations.
        predictor: predictor of the last fit; None if there is none yet.
        quality: quality of the last fit.
        extra: fields of the store, such as `id`, `created_at` and `updated_at`.
    """
    training_set = TrainingSet.from_observations(observations)
    trained, failed, running = (
        len(each) for each in (training_set.architectures, training_set.failed, training_set.running)
    )
    notes = [few_rows_note(trained)] if predictor is None and trained < MIN_ROWS else []
    notes += [*(predictor.notes if predictor else ()), *(quality_notes(quality) if quality else ())]
    best = training_set.best(NUM_BEST, definition.metric.sign)
    return {
        **extra,
        **definition.to_json(),
        "observations": {
            "total": training_set.num_observations,
            "trained": trained,
            "failed": failed,
            "running": running,
            "architectures": trained + failed + running,
        },
        "fitted": predictor and {"observations": predictor.num_observations, "trained": predictor.num_trained},
        "quality": quality and quality.to_json(),
        "notes": notes,
        "best": [{"architecture": space.to_json(architecture), "value": value} for architecture, value in best],
    }


def prediction_document(
    space: SearchSpace[Any], architecture: Architecture, prediction: StudyPrediction
) -> dict[str, Any]:
    """Return a prediction as plain JSON."""
    interval = prediction.interval
    return {
        "architecture": space.to_json(architecture),
        "score": prediction.score,
        "percentile": prediction.percentile,
        "value": prediction.value,
        "interval": interval and {"low": interval.low, "high": interval.high, "level": interval.level},
        "failure_probability": prediction.failure_probability,
        "warnings": list(prediction.warnings),
        "curve_length": prediction.curve_length,
    }


def _space(definition: StudyDefinition) -> SearchSpace[Any]:
    return get_space(definition.space, **definition.settings)


def _fields(value: Any, place: str, names: Sequence[str]) -> dict[str, Any]:
    """Return an object that has exactly these fields."""
    if not isinstance(value, dict):
        raise InputError(place, value, "an object with the fields " + ", ".join(names))
    for name in value:
        if name not in names:
            raise InputError(f"{place}.{name}", value[name], "only the fields " + ", ".join(names))
    for name in names:
        if name not in value:
            raise InputError(f"{place}.{name}", None, "a value: the field is missing")
    return value
