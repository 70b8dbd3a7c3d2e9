"""Replay of searches on a benchmark of trained architectures."""
