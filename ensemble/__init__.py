"""From proxy scores and structure to an accuracy: benchmarks, combiners, their evaluation and saved ensembles."""

from ensemble.benchmark import Benchmark, Entry, load_benchmark, write_table
from ensemble.combiners import COMBINERS, CombinerInfo, combiner_names, get_combiner
from ensemble.errors import ArtifactError, BenchmarkError
from ensemble.evaluate import evaluate
from ensemble.features import FeatureTable, feature_table
from ensemble.predictor import Ensemble, Prediction
from ensemble.scores import ScoreTable, append_scores, drop_partial_row, load_scores, score_feature, start_scores

__all__ = [
    "COMBINERS",
    "ArtifactError",
    "Benchmark",
    "BenchmarkError",
    "CombinerInfo",
    "Ensemble",
    "Entry",
    "FeatureTable",
    "Prediction",
    "ScoreTable",
    "append_scores",
    "combiner_names",
    "drop_partial_row",
    "evaluate",
    "feature_table",
    "get_combiner",
    "load_benchmark",
    "load_scores",
    "score_feature",
    "start_scores",
    "write_table",
]
