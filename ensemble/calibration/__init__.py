"""Prediction intervals and the applicability of a prediction."""
