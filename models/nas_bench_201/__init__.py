"""The `nas-bench-201` search space (Dong & Yang, ICLR 2020)."""

from models.nas_bench_201.architecture import NasBench201Architecture
from models.nas_bench_201.space import NasBench201
from models.nas_bench_201.task import ImageTask

__all__ = ["ImageTask", "NasBench201", "NasBench201Architecture"]
