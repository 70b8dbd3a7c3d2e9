"""Results, compared with their targets, and the table of all."""

import math
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch

Status = Literal["pass", "fail", "stated", "skipped"]
"""`stated`: a measurement without a target, or with a target for another device or size."""
ARCHITECTURES = Path(__file__).parents[2] / "ensemble" / "data" / "gcn-nas-ntu.scores.jsonl"
"""Table of scores with the benchmark's 593 architectures."""


@dataclass(frozen=True)
class Options:
    """Options of a run.

    Attributes:
        device: `cuda` or `cpu`.
        small: a dry run with small networks, batches and numbers.
        architectures: JSON Lines with an architecture in each row, for the last part.
        scores: table of scores that the last part writes.
        deadline: `time.monotonic()` at which the part must end.
    """

    device: str = "cuda"
    small: bool = False
    architectures: Path = ARCHITECTURES
    scores: Path = Path("runs/gpu-scores.jsonl")
    deadline: float = math.inf

    @property
    def timed(self) -> bool:
        """True if times are compared with their targets, which are those of an H100 at full size."""
        return self.device == "cuda" and not self.small


@dataclass(frozen=True)
class Check:
    """A result.

    Attributes:
        name: quantity or behaviour.
        status: outcome of the comparison with the target.
        value: text of the value.
        target: text of the target; empty if there is none.
        data: details as plain JSON data.
    """

    name: str
    status: Status
    value: str
    target: str = ""
    data: Any = None


def at_most(name: str, value: float, limit: float, unit: str = "", timed: bool = True, data: Any = None) -> Check:
    """Check that a value is at most `limit`; NaN fails. Only stated if `timed` is False."""
    return _judged(name, value, value <= limit, f"≤ {limit:g}{unit}", unit, timed, data)


def at_least(name: str, value: float, limit: float, unit: str = "", timed: bool = True, data: Any = None) -> Check:
    """Check that a value is at least `limit`; NaN fails. Only stated if `timed` is False."""
    return _judged(name, value, value >= limit, f"≥ {limit:g}{unit}", unit, timed, data)


def _judged(name: str, value: float, good: bool, target: str, unit: str, timed: bool, data: Any) -> Check:
    status: Status = "stated" if not timed else "pass" if good else "fail"
    return Check(name, status, f"{value:.3g}{unit}", target, data)


def holds(name: str, good: bool, value: str, target: str, data: Any = None) -> Check:
    """Check a behaviour."""
    return Check(name, "pass" if good else "fail", value, target, data)


def stated(name: str, value: str, data: Any = None) -> Check:
    """State a measurement without a target."""
    return Check(name, "stated", value, data=data)


def skipped(name: str, why: str) -> Check:
    """Record a check that could not run, with the reason."""
    return Check(name, "skipped", why)


def line(part: str, check: Check) -> str:
    """Format a result in one line."""
    status = check.status.upper() if check.status == "fail" else check.status
    target = f"  ({check.target})" if check.target else ""
    return f"{status:8}{part:10}{check.name}: {check.value}{target}"


def table(results: Sequence[tuple[str, Check]]) -> str:
    """Format all results as a table in Markdown, for `docs/performance.md`."""
    rows: list[tuple[str, ...]] = [("part", "what", "target", "reached", "")]
    rows += [(part, check.name, check.target, check.value, check.status) for part, check in results]
    rows = [tuple(cell.replace("|", "\\|").replace("\n", " ") for cell in row) for row in rows]
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([lines[0], "|---" * len(rows[0]) + "|", *lines[1:]])


def machine(device: str) -> dict[str, Any]:
    """Return GPU, processor and versions."""
    facts: dict[str, Any] = {"python": platform.python_version(), "torch": torch.__version__, "device": "cpu"}
    if device == "cuda":
        gpu = torch.cuda.get_device_properties(0)
        facts |= {
            "device": gpu.name,
            "memory_gib": gpu.total_memory / 2**30,
            "compute_capability": f"{gpu.major}.{gpu.minor}",
            "multiprocessors": gpu.multi_processor_count,
            "cuda": torch.version.cuda,
            "cudnn": torch.backends.cudnn.version(),  # type: ignore[no-untyped-call]
        }
    return facts
