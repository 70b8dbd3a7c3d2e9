"""Benchmarks, tables of proxy scores, feature tables and folds."""
