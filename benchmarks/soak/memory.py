"""Memory of a server and its workers, and its trend."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from scipy.stats import linregress

WARM_UP = 1 / 2
"""Fraction of a run that fills caches and is left out."""
BLOCKS = 20
"""Number of means that are fitted, as consecutive samples are not independent."""
MAX_SLOPE = 1.0
"""Largest slope of memory that counts as flat, in MB a minute."""


@dataclass(frozen=True)
class Trend:
    """Linear fit of the memory after the warm-up, in MB and minutes."""

    slope: float
    error: float
    intercept: float
    begin: float
    end: float

    @property
    def flat(self) -> bool:
        """Whether the slope is below `MAX_SLOPE`."""
        return self.slope < MAX_SLOPE

    def __str__(self) -> str:
        word = "flat" if self.flat else "NOT flat"
        return (
            f"memory after the warm-up: {self.slope:+.2f} ± {self.error:.2f} MB a minute, {word} (flat: less than "
            f"{MAX_SLOPE:g})"
        )


def descendants_mb() -> float:
    """Return the resident memory of all descendants of this process, in MB."""
    page = os.sysconf("SC_PAGE_SIZE")
    return sum(page * _pages(pid) for pid in _descendants(os.getpid())) / 1e6


def trend(samples: list[tuple[float, float]]) -> Trend:
    """Fit samples of time in minutes and memory in MB."""
    times, sizes = np.array(samples).T
    late = times >= times[0] + WARM_UP * (times[-1] - times[0])
    blocks = min(BLOCKS, late.sum())
    x, y = ([part.mean() for part in np.array_split(values[late], blocks)] for values in (times, sizes))
    fit = linregress(x, y)
    return Trend(fit.slope, fit.stderr, fit.intercept, times[late][0], times[-1])


def draw(samples: list[tuple[float, float]], line: Trend, file: Path) -> None:
    """Draw the samples and the fit as PNG."""
    figure = Figure(figsize=(8, 4), layout="constrained")
    axes = figure.subplots()
    axes.plot(*np.array(samples).T, color="tab:blue", label="server and its workers")
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
        except OSError:  # the process has exited
            continue
        for child in map(int, children):
            yield child
            yield from _descendants(child)


def _pages(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except OSError:
        return 0
