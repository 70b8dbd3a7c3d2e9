"""Benchmarks, score tables and features."""
