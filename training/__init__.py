"""Training of architectures, which gives the accuracies of a benchmark.

`recipe` holds the hyperparameters, `data` the samples, `trainer` the epochs, and `record` the measurements of an epoch
and the result.
"""

from training.data import default_recipe, load_training_data
from training.recipe import Recipe
from training.record import EpochRecord, TrainingResult
from training.trainer import train

__all__ = ["EpochRecord", "Recipe", "TrainingResult", "default_recipe", "load_training_data", "train"]
