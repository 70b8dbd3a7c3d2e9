"""Tables of docs/search.md, from the curves alone."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.replay.figures import TITLES
from benchmarks.replay.measures import TABLE_COLUMNS


def insert_tables(page: str, results: Mapping[str, Any]) -> str:
    """Replace every table between its marks, `<!-- replay: name -->` and `<!-- end -->`.

    Args:
        page: Markdown.
        results: content of `replay.json`.

    Returns:
        The page with new tables.

    Raises:
        KeyError: a mark names no table.
    """
    by_name = make_tables(results)

    def replacement(mark: re.Match[str]) -> str:
        return f"{mark[1]}\n{by_name[mark[2]]}{mark[3]}"

    return re.sub(r"(<!-- replay: ([\w ]+) -->)\n.*?(<!-- end -->)", replacement, page, flags=re.DOTALL)


def make_tables(results: Mapping[str, Any]) -> dict[str, str]:
    """Markdown tables by name."""
    settings, trainings = results["settings"], results["num_trainings"]
    measures = ("regret", "surrogate_regret", "mean_gain", "hypervolume")
    tables = {
        f"{measure} {name}": _curves_table(setting[measure], trainings)
        for name, setting in settings.items()
        for measure in measures
    }
    tables |= {f"trainings_needed {name}": _needed_table(one["trainings_needed"]) for name, one in settings.items()}
    head = "| | candidates | best accuracy | distance of the nearest | of the 20th |\n|---|---|---|---|---|\n"
    rows = []
    for name, setting in settings.items():
        distances = (f"{100 * distance:.0f} %" for distance in setting["distances"])
        cells = (TITLES[name], setting["candidates"][0], f"{100 * setting['best_accuracy']:.2f} %", *distances)
        rows.append(f"| {' | '.join(map(str, cells))} |\n")
    return {**tables, "settings": head + "".join(rows)}


def _curves_table(curves: Mapping[str, Any], trainings: Sequence[int]) -> str:
    """Mean and 10–90 % quantiles at each of `TABLE_COLUMNS` within the budget."""
    first = next(iter(curves.values()))["mean"]
    columns = {k: i for i, k in enumerate(trainings) if k in TABLE_COLUMNS and first[i] is not None}
    rows = []
    for name, curve in curves.items():
        statistics = {key: [_format(curve[key][i]) for i in columns.values()] for key in ("mean", "low", "high")}
        cells = (f"{mean} ({low}–{high})" for mean, low, high in zip(*statistics.values(), strict=True))
        rows.append(f"| {name} | {' | '.join(cells)} |\n")
    return f"| | {' | '.join(map(str, columns))} |\n|---|{'---|' * len(columns)}\n{''.join(rows)}"


def _format(value: float) -> str:
    return f"{value:.2f}".replace("-0.00", "0.00").replace("-", "−")


def _needed_table(methods: Mapping[str, Any]) -> str:
    """Median trainings that the method itself and the baselines need."""
    compared = list(next(iter(methods.values()))[str(TABLE_COLUMNS[0])])
    rows = []
    for name in (name for name in methods if name not in compared):
        medians = [[needed[other]["median"] for other in compared] for needed in methods[name].values()]
        cells = (" / ".join(f"{median:.0f}" for median in row) for row in medians)
        rows.append(f"| {name} | {' | '.join(cells)} |\n")
    columns = list(next(iter(methods.values())))
    head = f"| trainings of {' / '.join(compared)} | {' | '.join(f'accuracy after {k}' for k in columns)} |\n"
    return f"{head}|---|{'---|' * len(columns)}\n{''.join(rows)}"
