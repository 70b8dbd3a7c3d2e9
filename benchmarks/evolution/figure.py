"""Figure of docs/evolution.md: held-out quality by size of the expression and by generation."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from benchmarks.replay.figures import standalone
from common.atomic_files import write_atomically
from ensemble.report.palette import THEME
from ensemble.report.svg import figure_style, render

METRIC = "within_stratum_spearman"
STUDIES = ("gcn-nas", "gcn-nas-layers-1000", "nas-bench-graph", "nas-bench-201")
PANELS = (("front", "size", "nodes of the expression"), ("generations", "generation", "generation"))
LABEL = "Held-out ρ within strata of evolved expressions by their size, and of the best one by generation"


def write_figure(reports: Mapping[str, Any], path: Path) -> None:
    """Write the figure; dashed the best hand-written proxy.

    Args:
        reports: reports by study.
        path: SVG file.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with figure_style():
        figure = Figure(figsize=(7.5, 3.2), layout="constrained")
        for panel, (part, key, title) in zip(figure.subplots(1, 2, sharey=True), PANELS, strict=True):
            for study, color in zip(STUDIES, THEME.series, strict=False):
                if study not in reports:
                    continue
                report = reports[study]
                points = [point for point in report[part] if point[METRIC] is not None]
                places, values = [point[key] for point in points], [point[METRIC] for point in points]
                panel.plot(places, values, drawstyle="steps-post", color=color, label=study)
                written = next(iter(report["held_out"].values()))["hand_written"][METRIC]
                panel.axhline(written, color=color, linewidth=0.8, linestyle="--")
            panel.axhline(0, color=THEME.ink, linewidth=0.6)
            panel.set_xlabel(title)
            panel.grid(axis="y")
        figure.axes[0].set_ylabel("ρ within strata, held out")
        lines, labels = figure.axes[0].get_legend_handles_labels()
        figure.legend(lines, labels, loc="outside lower center", ncols=4, frameon=False, labelcolor=THEME.ink)
        svg = standalone(render(figure, "evolution", LABEL))
    write_atomically(path, svg.encode())
