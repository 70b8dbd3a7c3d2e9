"""Correctness and speed on a GPU: `python -m benchmarks.gpu`, or `make gpu`."""
