"""Memory of the processes that this one started, over time."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from scipy.stats import linregress

WARM_UP = 1 / 2
"""Which part of a run fills caches and is left out."""
BLOCKS = 20
"""Means over as many stretches of time are fitted, as neighbouring samples are not independent."""
FLAT = 1.0
"""MB a minute."""


@dataclass(frozen=True)
class Trend:
    """A straight line through the memory after the warm-up, in MB and minutes."""

    slope: float
    error: float
    intercept: float
    begin: float
    end: float

    @property
    def flat(self) -> bool:
        """Whether the slope is less than `FLAT`."""
        return self.slope < FLAT

    def __str__(self) -> str:
        word = "flat" if self.flat else "NOT flat"
        return (
            f"memory after the warm-up: {self.slope:+.2f} ± {self.error:.2f} MB a minute, {word} (flat: less than "
            f"{FLAT:g})"
        )


def started_megabytes() -> float:
    """Resident memory of all processes that this one started, and those that they started."""
    page = os.sysconf("SC_PAGE_SIZE")
    return sum(page * _pages(pid) for pid in _descendants(os.getpid())) / 1e6


def trend(samples: list[tuple[float, float]]) -> Trend:
    """Of samples, which are minutes and MB."""
    times, sizes = np.array(samples).T
    late = times >= times[0] + WARM_UP * (times[-1] - times[0])
    blocks = min(BLOCKS, late.sum())
    x, y = ([part.mean() for part in np.array_split(values[late], blocks)] for values in (times, sizes))
    fit = linregress(x, y)
    return Trend(fit.slope, fit.stderr, fit.intercept, times[late][0], times[-1])


def draw(samples: list[tuple[float, float]], line: Trend, file: Path) -> None:
    """The samples and the line, as PNG."""
    figure = Figure(figsize=(8, 4), layout="constrained")
    axes = figure.subplots()
    axes.plot(*np.array(samples).T, color="tab:blue", label="server and its processes")
    ends = np.array([line.begin, line.end])
    label = f"{line.slope:+.2f} ± {line.error:.2f} MB a minute"
    axes.plot(ends, line.intercept + line.slope * ends, "--", color="tab:red", label=label)
    axes.axvspan(samples[0][0], line.begin, color="0.93", label="warm-up")
    axes.set(xlabel="minutes", ylabel="resident memory, MB", ylim=(0, None))
    axes.legend(loc="lower right")
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, dpi=120)


def _descendants(pid: int) -> Iterator[int]:
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            children = task.read_text().split()
        except OSError:  # it has ended
            continue
        for child in map(int, children):
            yield child
            yield from _descendants(child)


def _pages(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except OSError:
        return 0
