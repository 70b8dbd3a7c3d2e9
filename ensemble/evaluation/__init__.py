"""Cross-validation, metrics and learning curves."""
