"""Accuracy prediction from proxy scores and structure: benchmarks, combiners, evaluation, saved ensembles."""

from ensemble.card import card, shortcomings
from ensemble.combiners import Combiner, CombinerInfo, combiner_infos, combiner_names, get_combiner
from ensemble.data.benchmark import Benchmark, Entry, Training
from ensemble.data.columns import Columns
from ensemble.data.curve import Curve, CurveFeatures
from ensemble.data.features import FeatureTable, feature_table
from ensemble.data.loading import load_benchmark, write_table
from ensemble.data.scores import ScoreTable, append_scores, drop_partial_row, load_scores, score_feature, start_scores
from ensemble.errors import ArtifactError, BenchmarkError
from ensemble.evaluation.protocol import evaluate
from ensemble.explanation import Attribution, Explanation, SuggestedMutation
from ensemble.prediction import Estimate, Interval, Prediction
from ensemble.predictor import Ensemble
from ensemble.source import Source

__all__ = [
    "ArtifactError",
    "Attribution",
    "Benchmark",
    "BenchmarkError",
    "Columns",
    "Combiner",
    "CombinerInfo",
    "Curve",
    "CurveFeatures",
    "Ensemble",
    "Entry",
    "Estimate",
    "Explanation",
    "FeatureTable",
    "Interval",
    "Prediction",
    "ScoreTable",
    "Source",
    "SuggestedMutation",
    "Training",
    "append_scores",
    "card",
    "combiner_infos",
    "combiner_names",
    "drop_partial_row",
    "evaluate",
    "feature_table",
    "get_combiner",
    "load_benchmark",
    "load_scores",
    "score_feature",
    "shortcomings",
    "start_scores",
    "write_table",
]
