"""Samples that architectures are trained and evaluated on."""

from training.data.base import Split, TrainingData

__all__ = ["Split", "TrainingData"]
