"""Correlations of zero-cost proxies with accuracy on NAS-Bench-Graph."""
