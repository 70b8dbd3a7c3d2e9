"""Local versions of `study.parsing`, `study.suggestions`, `study.quality` and `study.documents`, until these exist."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from common.errors import InputError
from models import Architecture, SearchSpace, get_space
from study import Observation, StudyDefinition, StudyMetric, StudyPrediction, StudyPredictor


def parse_observations(space: SearchSpace[Any], metric: StudyMetric, data: Any) -> list[Observation]:
    """Validate observations."""
    observations = []
    for i, row in enumerate(data):
        place = f"observations[{i}]"
        if not isinstance(row, dict) or "architecture" not in row or "value" not in row:
            raise InputError(place, row, "an object with architecture and value")
        try:
            architecture = space.parse(row["architecture"])
        except InputError as error:
            raise error.within(f"{place}.architecture") from error
        value = row["value"] if row["value"] is None else metric.check(row["value"], f"{place}.value")
        more = row.get("error"), row.get("seconds"), row.get("epochs"), tuple(row.get("curve") or ())
        observations.append(Observation(architecture, value, *more))
    return observations


def suggest(
    predictor: StudyPredictor,
    n: int,
    *,
    exclude: Collection[Architecture] = (),
    candidates: Sequence[Architecture] | None = None,
    seed: int = 0,
) -> list[tuple[Architecture, StudyPrediction]]:
    """Suggest the best predicted candidates."""
    rng = np.random.default_rng(seed)
    pool = [predictor.space.sample(rng) for _ in range(500)] if candidates is None else candidates
    distinct = [arch for arch in dict.fromkeys(pool) if arch not in set(exclude)]
    ranked = sorted(zip(distinct, predictor.predict(distinct), strict=True), key=lambda pair: -pair[1].score)
    return ranked[:n]


@dataclass(frozen=True)
class QualityPoint:
    """Quality with n observations."""

    n: int
    spearman: float | None
    sources_spearman: float | None
    stratum_spearman: float | None
    coverage: float | None


@dataclass(frozen=True)
class Quality:
    """Quality of a study."""

    observations: int
    trained: int
    spearman: float | None
    coverage: float | None
    sources_spearman: float | None
    stratum_spearman: float | None
    curve: tuple[QualityPoint, ...]
    stratum_label: str | None = None


def estimate_quality(
    definition: StudyDefinition, space: SearchSpace[Any], observations: Any, sources: Any, seed: int = 0
) -> Quality:
    """Return an unknown quality."""
    trained = sum(item.value is not None for item in observations)
    return Quality(len(observations), trained, None, None, None, None, ())


def quality_notes(quality: Quality) -> tuple[str, ...]:
    """Return no notes."""
    return ()


def export_study(
    definition: StudyDefinition, space: SearchSpace[Any], observations: Sequence[Observation]
) -> dict[str, Any]:
    """Export a study."""
    rows = [each.to_json(space) for each in sorted(observations, key=lambda each: each.id)]
    return {"format": "archrank-study-1", "study": definition.to_json(), "observations": rows}


def import_study(document: dict[str, Any]) -> tuple[StudyDefinition, SearchSpace[Any], list[Observation]]:
    """Import a study."""
    definition = StudyDefinition.from_json(document["study"])
    space = get_space(definition.space, **definition.settings)
    return definition, space, parse_observations(space, definition.metric, document["observations"])
