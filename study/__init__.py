"""Studies: predictors that learn a user's own task from its trained architectures."""

from study.definition import StudyDefinition, StudyMetric
from study.documents import export_study, import_study, parse_definition, prediction_document, state_document
from study.folder import LocalStudy
from study.observation import Observation
from study.parsing import parse_observation, parse_observations, read_observations
from study.predictor import StudyPrediction, StudyPredictor
from study.quality import Quality, QualityPoint, estimate_quality, quality_notes
from study.sources import load_sources, source_names
from study.suggestions import suggest

__all__ = [
    "LocalStudy",
    "Observation",
    "Quality",
    "QualityPoint",
    "StudyDefinition",
    "StudyMetric",
    "StudyPrediction",
    "StudyPredictor",
    "estimate_quality",
    "export_study",
    "import_study",
    "load_sources",
    "parse_definition",
    "parse_observation",
    "parse_observations",
    "prediction_document",
    "quality_notes",
    "read_observations",
    "source_names",
    "state_document",
    "suggest",
]
