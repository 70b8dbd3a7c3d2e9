"""Graphs that probe `nas-bench-graph` networks: synthetic ones, and the published data sets by path."""
