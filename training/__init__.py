"""Training of architectures, which gives the accuracies of a benchmark.

`recipe` holds the hyperparameters, `data` the samples, and `record` the measurements of an epoch and the result.
"""

from training.recipe import Recipe
from training.record import EpochRecord, TrainingResult

__all__ = ["EpochRecord", "Recipe", "TrainingResult"]
