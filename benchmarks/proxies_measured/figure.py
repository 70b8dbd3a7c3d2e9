"""Figure of docs/proxies-measured.md: correlation of each proxy with accuracy in every space, with intervals."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from benchmarks.proxies_measured.tables import SPACES, ordered_proxies
from benchmarks.replay.figures import standalone
from common.atomic_files import write_atomically
from ensemble.report.palette import THEME
from ensemble.report.svg import figure_style, render

MARKS = (
    ("overall", "all architectures", "o", -0.22),
    ("given_stratum_and_parameters", "given depth and parameters", "D", 0.22),
)
LABEL = "Spearman's ρ of each proxy with the accuracy in three search spaces, with 95 % bootstrap intervals"


def write_figure(results: Mapping[str, Any], path: Path) -> None:
    """Write the figure: a panel a space, a row a proxy, the least informative given depth at the bottom.

    Args:
        results: results by population, as `measure` writes them.
        path: SVG file.
    """
    spaces = [(key, title) for key, title in SPACES.items() if key in results]
    names = ordered_proxies(results)[::-1]
    with figure_style():
        figure = Figure(figsize=(8, 0.2 * len(names) + 1.1), layout="constrained")
        axes = figure.subplots(1, len(spaces), sharey=True, squeeze=False)[0]
        for panel, (key, title) in zip(axes, spaces, strict=True):
            rows = results[key]["correlations"]
            for (kind, label, marker, offset), color in zip(MARKS, (THEME.series[4], THEME.series[0]), strict=True):
                found = [(i, rows[name][kind]) for i, name in enumerate(names) if name in rows]
                known = [(i, row) for i, row in found if None not in row]
                values = np.array([row for _, row in known]).reshape(-1, 3)
                places = np.array([i for i, _ in known]) - offset
                panel.hlines(places, values[:, 1], values[:, 2], color=color, linewidth=1)
                panel.plot(values[:, 0], places, marker, color=color, label=label, markersize=3)
            panel.axvline(0, color=THEME.ink, linewidth=0.6)
            panel.set_title(title)
            panel.set_xlabel("ρ")
            panel.set_xlim(-0.95, 0.95)
            panel.set_ylim(-0.7, len(names) - 0.3)
            panel.set_yticks(range(len(names)), names)
            panel.grid()
        lines, labels = axes[0].get_legend_handles_labels()
        figure.legend(lines, labels, loc="outside lower center", ncols=len(MARKS), frameon=False, labelcolor=THEME.ink)
        svg = standalone(render(figure, "proxies-measured", LABEL))
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, svg.encode())
