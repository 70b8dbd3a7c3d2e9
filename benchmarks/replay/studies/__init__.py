"""Replay of searches that train, with a study behind them, on tables of trained architectures."""
