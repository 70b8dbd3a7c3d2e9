"""Building of a benchmark: sample architectures, train each, write the table that ensembles are fitted to."""

from training.benchmark.building import build_benchmark
from training.benchmark.specification import BuildSpecification, DataSource

__all__ = ["BuildSpecification", "DataSource", "build_benchmark"]
