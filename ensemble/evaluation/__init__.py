"""Evaluation of combiners: cross-validation, metrics, baselines, learning curves and controls."""
