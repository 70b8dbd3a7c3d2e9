"""Conversion of studies to JSON documents."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from ensemble.combiners.transfer import MIN_ROWS
from models import Architecture, SearchSpace
from service.api.study_schemas import (
    BestArchitecture,
    FittedCounts,
    ObservationCounts,
    ObservedItem,
    StudyDocument,
    StudyPredictedItem,
    StudyQuality,
)
from service.storage import StoredObservation, StoredStudy, StudySummary
from service.studies.fits import Fit, StudyState
from study import StudyPrediction
from study.documents import prediction_document
from study.predictor import few_rows_note


def study_document(
    study: StoredStudy, summary: StudySummary, state: StudyState | None, with_curve: bool = True
) -> StudyDocument:
    """Describe a study.

    Args:
        study: the study.
        summary: its observations in numbers.
        state: its latest fit; None if it is not in memory.
        with_curve: include the curve of the quality.
    """
    fit = None if state is None else state.fit.value
    notes = state.notes() if state else []
    if fit is None and summary.trained < MIN_ROWS:
        notes.insert(0, few_rows_note(summary.trained))
    return StudyDocument(
        id=study.id,
        created_at=study.created_at,
        updated_at=study.updated_at,
        **study.definition,
        observations=ObservationCounts(
            total=summary.total,
            trained=summary.trained,
            failed=summary.failed,
            running=summary.running,
            architectures=summary.architectures,
        ),
        fitted=fit and FittedCounts(observations=fit.predictor.num_observations, trained=fit.predictor.num_trained),
        quality=_quality(state, with_curve),
        notes=notes,
        best=[BestArchitecture(architecture=architecture, value=value) for architecture, value in summary.best],
    )


def _quality(state: StudyState | None, with_curve: bool) -> StudyQuality | None:
    quality = None if state is None else state.quality.value
    if quality is None:
        return None
    fields = asdict(quality)
    return StudyQuality(**fields if with_curve else fields | {"curve": None})


def predicted_item(
    space: SearchSpace[Any], architecture: Architecture, prediction: StudyPrediction
) -> StudyPredictedItem:
    """Convert the prediction of an architecture."""
    return StudyPredictedItem(**prediction_document(space, architecture, prediction))


def observed_items(rows: Sequence[StoredObservation], fit: Fit | None) -> list[ObservedItem]:
    """Convert observations, with their held-out predictions by a fit."""
    held_out = {} if fit is None else fit.held_out
    return [
        ObservedItem(
            id=row.id,
            architecture=row.document["architecture"],
            value=row.value,
            error=row.document.get("error"),
            seconds=row.document.get("seconds"),
            epochs=row.document.get("epochs"),
            curve=row.document.get("curve"),
            predicted=held_out.get(row.fingerprint),
        )
        for row in rows
    ]
