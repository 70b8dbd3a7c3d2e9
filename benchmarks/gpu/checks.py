"""One result each, held against its target, and the table of all."""

import math
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch

Status = Literal["pass", "fail", "stated", "skipped"]
"""`stated`: a measurement without a target, or one whose target is not for this device or size."""
ARCHITECTURES = Path(__file__).parents[2] / "ensemble" / "data" / "gcn-nas-ntu.scores.jsonl"
"""Scores of the benchmark's 593 architectures, which name them."""


@dataclass(frozen=True)
class Options:
    """Options of a run.

    Attributes:
        device: `cuda` or `cpu`.
        small: a dry run of everything: little networks, batches and numbers.
        architectures: JSON Lines of which each row names an architecture, for the last part.
        scores: where the last part writes its table of scores.
        deadline: `time.monotonic()` at which the part has to be done.
    """

    device: str = "cuda"
    small: bool = False
    architectures: Path = ARCHITECTURES
    scores: Path = Path("runs/gpu-scores.jsonl")
    deadline: float = math.inf

    @property
    def timed(self) -> bool:
        """True where times are held against their targets, which are an H100's at full size."""
        return self.device == "cuda" and not self.small


@dataclass(frozen=True)
class Check:
    """One result.

    Attributes:
        name: of the quantity or the behaviour.
        status: against the target.
        value: for people.
        target: for people; empty where there is none.
        data: more of it, as plain JSON data.
    """

    name: str
    status: Status
    value: str
    target: str = ""
    data: Any = None


def at_most(name: str, value: float, limit: float, unit: str = "", timed: bool = True, data: Any = None) -> Check:
    """A value that passes up to `limit`; not a number fails. Only stated where `timed` is false."""
    return _judged(name, value, value <= limit, f"≤ {limit:g}{unit}", unit, timed, data)


def at_least(name: str, value: float, limit: float, unit: str = "", timed: bool = True, data: Any = None) -> Check:
    """A value that passes from `limit` on; not a number fails. Only stated where `timed` is false."""
    return _judged(name, value, value >= limit, f"≥ {limit:g}{unit}", unit, timed, data)


def _judged(name: str, value: float, good: bool, target: str, unit: str, timed: bool, data: Any) -> Check:
    status: Status = "stated" if not timed else "pass" if good else "fail"
    return Check(name, status, f"{value:.3g}{unit}", target, data)


def holds(name: str, good: bool, value: str, target: str, data: Any = None) -> Check:
    """A behaviour that is as it should be, or is not."""
    return Check(name, "pass" if good else "fail", value, target, data)


def stated(name: str, value: str, data: Any = None) -> Check:
    """A measurement without a target."""
    return Check(name, "stated", value, data=data)


def skipped(name: str, why: str) -> Check:
    """A check that could not be made, and why."""
    return Check(name, "skipped", why)


def line(part: str, check: Check) -> str:
    """One result in one line, as it comes."""
    status = check.status.upper() if check.status == "fail" else check.status
    target = f"  ({check.target})" if check.target else ""
    return f"{status:8}{part:10}{check.name}: {check.value}{target}"


def table(results: Sequence[tuple[str, Check]]) -> str:
    """All results as a table in Markdown, as `docs/performance.md` takes it."""
    rows = [("part", "what", "target", "reached", "")]
    rows += [(part, check.name, check.target, check.value, check.status) for part, check in results]
    rows = [tuple(cell.replace("|", "\\|").replace("\n", " ") for cell in row) for row in rows]
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([lines[0], "|---" * len(rows[0]) + "|", *lines[1:]])


def machine(device: str) -> dict[str, Any]:
    """GPU, processor and versions."""
    found = {"python": platform.python_version(), "torch": torch.__version__, "device": "cpu"}
    if device == "cuda":
        facts = torch.cuda.get_device_properties(0)
        found |= {
            "device": facts.name,
            "memory_gib": facts.total_memory / 2**30,
            "compute_capability": f"{facts.major}.{facts.minor}",
            "multiprocessors": facts.multi_processor_count,
            "cuda": torch.version.cuda,
            "cudnn": torch.backends.cudnn.version(),
        }
    return found
