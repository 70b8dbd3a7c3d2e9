"""Tables and figure of the replays, from the runs alone."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator
from numpy.typing import NDArray

from benchmarks.markdown import markdown
from benchmarks.replay.figures import standalone
from benchmarks.replay.studies.candidates import SKELETONS
from benchmarks.replay.studies.methods import BUDGET, LONG_BUDGET, METHODS
from common.atomic_files import write_atomically
from common.strict_json import loads
from ensemble.report.palette import THEME
from ensemble.report.svg import DASHES, figure_style, render

NUM_TRAININGS = (10, 20, 50, 100)
TICKS = (1, 2, 5, 10, 20, 50, 100)
STUDY, RANDOM = "study with sources", "random"
LINES = ("random", "deepest first", "evolution", "RoBoT", "study, cold", "study with sources")
COLORS = (4, 1, 5, 3, 2, 0)
Array = NDArray[np.float64]
Runs = Mapping[str, Mapping[str, Mapping[int, Any]]]
"""Runs by table, method and seed."""


def load_runs(path: Path) -> list[dict[str, Any]]:
    """Read the runs of a results file; none if there is no file. An incomplete last line is removed."""
    if not path.is_file():
        return []
    content = path.read_bytes()
    if end := content.rfind(b"\n") + 1 - len(content):
        content = content[:end]
        write_atomically(path, content)
    return [loads(line, max_depth=4) for line in content.splitlines()]


def key(run: Mapping[str, Any]) -> tuple[str, str, int]:
    """Table, method and seed of a run."""
    return run["table"], run["method"], run["seed"]
