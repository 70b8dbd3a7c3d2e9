"""Figure of docs/graphs.md: correlation of each proxy with accuracy on every data set."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from benchmarks.replay.figures import standalone
from common.atomic_files import write_atomically
from ensemble.report.palette import THEME
from ensemble.report.svg import figure_style, render

PANELS = (("spearman", "ρ, all architectures"), ("partial_spearman", "ρ given depth"))
SOURCES = (("graph", "published graph", "o", -0.17), ("synthetic", "synthetic graph", "D", 0.17))
LABEL = "Spearman's ρ of each proxy with accuracy: one mark a data set, and a line over their range"


def write_figure(results: Mapping[str, Mapping[str, Any]], path: Path) -> None:
    """Write the figure; a row a proxy, in the order of the mean of abs(ρ) given depth, the depth itself first.

    Args:
        results: correlations by `<data set>-<graph>` and proxy.
        path: SVG file.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    names = sorted(
        {name for rows in results.values() for name in rows} - {"depth"},
        key=lambda name: np.mean(np.abs(_values(results, "", name, "partial_spearman") or [0.0])),
    )
    names.append("depth")
    with figure_style():
        figure = Figure(figsize=(7.5, 5.2), layout="constrained")
        for panel, (kind, title) in zip(figure.subplots(1, 2, sharey=True), PANELS, strict=True):
            for (source, label, marker, offset), color in zip(SOURCES, THEME.series, strict=False):
                for row, name in enumerate(names):
                    values = _values(results, source, name, kind)
                    if values:
                        places = [row - offset] * len(values)
                        panel.plot([min(values), max(values)], places[:1] * 2, color=color, linewidth=0.8, alpha=0.6)
                        panel.plot(values, places, marker, color=color, label=label, markersize=3.5)
                        label = "_nolegend_"
            panel.axvline(0, color=THEME.ink, linewidth=0.6)
            panel.set_title(title)
            panel.set_xlim(-0.8, 0.8)
            panel.set_yticks(range(len(names)), names)
            panel.grid(axis="x")
        lines, labels = figure.axes[0].get_legend_handles_labels()
        figure.legend(lines, labels, loc="outside lower center", ncols=2, frameon=False, labelcolor=THEME.ink)
        svg = standalone(render(figure, "nas-bench-graph-proxies", LABEL))
    write_atomically(path, svg.encode())


def _values(results: Mapping[str, Mapping[str, Any]], source: str, name: str, kind: str) -> Sequence[float]:
    """Correlations that are defined, of one kind of graph or of both."""
    rows = [rows[name][kind][0] for key, rows in results.items() if key.endswith(source) and name in rows]
    return [value for value in rows if value is not None]
