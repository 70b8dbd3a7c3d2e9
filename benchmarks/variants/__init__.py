"""Variants of the combiners: models and features that were tried and not kept."""
