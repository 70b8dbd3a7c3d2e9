"""Description and rates of the machine, measured in the same run as everything else."""

import platform
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any

import torch

SIZE = 2048


def seconds(work: Callable[[], Any], repeats: int = 5) -> float:
    """Return the minimum of several runs after a warm-up; longer runs are due to other processes."""
    work()
    times = []
    for _ in range(repeats):
        started = perf_counter()
        work()
        times.append(perf_counter() - started)
    return min(times)


def rates() -> dict[str, float]:
    """Measure GFLOP/s of a matrix product in both precisions, and of a temporal convolution of the network."""
    measured = {}
    for dtype in (torch.float32, torch.float64):
        a, b = torch.randn(SIZE, SIZE, dtype=dtype), torch.randn(SIZE, SIZE, dtype=dtype)
        measured[f"product_{str(dtype).removeprefix('torch.')}"] = 2e-9 * SIZE**3 / seconds(partial(torch.matmul, a, b))
    x, w = torch.randn(16, 128, 32, 25), torch.randn(128, 128, 9, 1)
    flops = 2e-9 * x.numel() * 128 * 9
    measured["convolution_float32"] = flops / seconds(lambda: torch.conv2d(x, w, padding=(4, 0)))
    return measured


def description() -> dict[str, Any]:
    """Return processor, threads and versions."""
    return {
        "processor": _processor(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
    }


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines() if sys.platform == "linux" else []
    facts = dict(line.split(":", 1) for line in reversed(lines) if ":" in line)
    cpu = {name.strip(): value.strip() for name, value in facts.items()}
    name = cpu.get("model name", platform.processor() or platform.machine())
    family = f", family {cpu['cpu family']} model {cpu['model']}" if "cpu family" in cpu else ""
    vectors = "AVX-512" if "avx512f" in cpu.get("flags", "") else "AVX2" if "avx2" in cpu.get("flags", "") else ""
    return f"{name}{family}{f', {vectors}' if vectors else ''}"


def peak_gib() -> float:
    """Return the peak memory of this process in GiB, on Linux."""
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(status["VmHWM"].split()[0]) / 2**20  # `getrusage` would include the parent's
