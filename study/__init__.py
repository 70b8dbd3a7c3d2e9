"""Studies: predictors that learn a user's own task from its trained architectures."""

from study.definition import StudyDefinition, StudyMetric
from study.observation import Observation
from study.predictor import StudyPrediction, StudyPredictor

__all__ = ["Observation", "StudyDefinition", "StudyMetric", "StudyPrediction", "StudyPredictor"]
