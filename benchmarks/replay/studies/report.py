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
from benchmarks.replay.studies.methods import BUDGET, LONG_BUDGET, METHODS
from benchmarks.transfer.sources import DATASETS
from common.atomic_files import write_atomically
from common.strict_json import loads
from ensemble.report.palette import THEME
from ensemble.report.svg import DASHES, figure_style, render

NUM_TRAININGS = (10, 20, 50, 100)
TICKS = (1, 2, 5, 10, 20, 50, 100)
STUDY, RANDOM = "study with sources", "random"
LINES = ("random", "evolution", "RoBoT", "sources alone", "study, cold", "study with sources")
COLORS = (4, 5, 3, 1, 2, 0)
Array = NDArray[np.float64]
Curves = Mapping[str, Mapping[str, Array]]
"""Best accuracy after each training, (seeds, trainings), by table and method."""


def load_runs(path: Path) -> list[dict[str, Any]]:
    """Read the runs of a results file; none if there is no file. An incomplete last line is left out."""
    if not path.is_file():
        return []
    content = path.read_bytes()
    return [loads(line, max_depth=4) for line in content[: content.rfind(b"\n") + 1].splitlines()]


def key(run: Mapping[str, Any]) -> tuple[str, str, int]:
    """Table, method and seed of a run."""
    return run["table"], run["method"], run["seed"]


def collect(runs: Iterable[Mapping[str, Any]]) -> tuple[Curves, Curves]:
    """Collect the seeds that every method of a table has.

    Returns:
        Regret and best accuracy.
    """
    by_key = {key(run): run for run in runs}
    tables = dict.fromkeys(table for table, _, _ in by_key)
    regret: dict[str, dict[str, Array]] = {}
    best: dict[str, dict[str, Array]] = {}
    for table in tables:
        names = [name for name in METHODS if any((table, name) == other[:2] for other in by_key)]
        seeds = set.intersection(*({s for t, n, s in by_key if (t, n) == (table, name)} for name in names))
        if not seeds:
            continue
        chosen = {name: [by_key[table, name, seed] for seed in sorted(seeds)] for name in names}
        best[table] = {name: np.stack([_curve(run["best"]) for run in runs]) for name, runs in chosen.items()}
        possible = np.array([run["possible"] for run in chosen[names[0]]])[:, None]
        regret[table] = {name: 100 * (possible - curves) for name, curves in best[table].items()}
    return regret, best


def _curve(improvements: Sequence[Sequence[float]]) -> Array:
    """Best accuracy after 1 to `LONG_BUDGET` trainings; the last one where the search ended before."""
    curve = np.empty(LONG_BUDGET)
    for number, accuracy in improvements:
        curve[int(number) - 1 :] = accuracy
    return curve


def make_tables(runs: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Markdown tables by name: regret and best accuracy by table, and the trainings that random search needs."""
    regret, best = collect(runs)
    made = {
        "replay of studies, regret": _values_table(regret),
        "replay of studies, accuracy": _values_table({t: {n: 100 * v for n, v in c.items()} for t, c in best.items()}),
    }
    rows = [
        ("data set", "seeds", f"{STUDY}, 20 trainings", "random, 100 trainings", "random needs, median", "reached"),
        ("---",) * 6,
    ]
    for table, curves in regret.items():
        if STUDY not in curves:
            continue
        study, random = curves[STUDY][:, 19], curves[RANDOM]
        reached = random <= study[:, None] + 1e-9
        needed = np.where(reached.any(axis=1), reached.argmax(axis=1) + 1, np.inf)
        median = float(np.median(needed))
        cells = (
            f"{study.mean():.2f}",
            f"{random[:, 99].mean():.2f}",
            f"{median:.0f}" if median < np.inf else "> 1,000",
        )
        yes = "yes" if study.mean() <= random[:, 99].mean() else "no"
        rows.append((table, str(len(study)), *cells, yes))
    return {**made, "replay of studies, against random search": markdown(rows)}


def _values_table(curves: Curves) -> str:
    """Means over the seeds after each of `NUM_TRAININGS`, in points or percent."""
    rows = [("data set", *METHODS), ("---",) * (len(METHODS) + 1)]
    for table, methods in curves.items():
        cells = []
        for name in METHODS:
            values = [methods[name][:, k - 1].mean() for k in NUM_TRAININGS] if name in methods else []
            cells.append(" / ".join(f"{value:.2f}" for value in values) or "–")
        rows.append((f"{table} ({len(next(iter(methods.values())))} seeds)", *cells))
    return markdown(rows)


def write_figure(runs: Iterable[Mapping[str, Any]], path: Path) -> None:
    """Draw the mean regret by the number of trainings, one panel for each data set of NAS-Bench-Graph."""
    regret, _ = collect(runs)
    x = np.arange(1, BUDGET + 1)
    with figure_style():
        figure = Figure(figsize=(9.0, 4.6), layout="constrained")
        panels = figure.subplots(2, 4, sharex=True)
        for axes, table in zip(panels.flat, DATASETS, strict=True):
            for i, name in enumerate(LINES):
                if table in regret:
                    style = {"color": THEME.series[COLORS[i]], "linestyle": DASHES[i]}
                    axes.plot(x, regret[table][name][:, :BUDGET].mean(axis=0), label=name, **style)
            axes.set_title(table)
            axes.set_xscale("log")
            axes.set_xlim(1, BUDGET)
            axes.set_ylim(bottom=0)
            axes.xaxis.set_major_locator(FixedLocator(TICKS))
            axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
            axes.xaxis.set_minor_locator(NullLocator())
            axes.grid(axis="y")
        for axes in panels[:, 0]:
            axes.set_ylabel("regret, points")
        for axes in panels[1]:
            axes.set_xlabel("trained architectures")
        lines, labels = panels[0, 0].get_legend_handles_labels()
        figure.legend(
            lines, labels, loc="outside lower center", ncols=6, frameon=False, fontsize=8, labelcolor=THEME.ink
        )
        svg = standalone(render(figure, path.stem, "Mean regret by the number of trainings, by data set and method"))
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, svg.encode())
