"""Benchmarks, tables of proxy scores and feature tables."""
