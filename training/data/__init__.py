"""Samples that architectures are trained and evaluated on."""

from training.data.base import SpaceTraining, Split, TrainingData
from training.data.registry import default_recipe, load_training_data, space_training

__all__ = ["SpaceTraining", "Split", "TrainingData", "default_recipe", "load_training_data", "space_training"]
