"""The `nas-bench-graph` search space (Qin et al., NeurIPS 2022)."""

from models.nas_bench_graph.architecture import NasBenchGraphArchitecture
from models.nas_bench_graph.space import NasBenchGraph

__all__ = ["NasBenchGraph", "NasBenchGraphArchitecture"]
