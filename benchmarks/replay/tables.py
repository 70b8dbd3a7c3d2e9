"""The tables of docs/search.md, from the curves alone."""

import re
from collections.abc import Mapping
from typing import Any

from benchmarks.replay.figures import TITLES
from benchmarks.replay.measures import STAGES


def inserted(page: str, measured: Mapping[str, Any]) -> str:
    """The page with every table between its marks, `<!-- replay: name -->` and `<!-- end -->`, written anew."""
    written = tables(measured)

    def table(mark: re.Match[str]) -> str:
        return f"{mark[1]}\n{written[mark[2]]}{mark[3]}"

    return re.sub(r"(<!-- replay: ([\w ]+) -->)\n.*?(<!-- end -->)", table, page, flags=re.DOTALL)


def tables(measured: Mapping[str, Any]) -> dict[str, str]:
    """By name, as Markdown."""
    settings = measured["settings"]
    at = [measured["trainings"].index(stage) for stage in STAGES]
    found = {f"searches {name}": _stages(settings[name]["regret"], at) for name in settings}
    found |= {f"guides {name}": _stages(settings[name]["guides"], at) for name in settings}
    found |= {f"lead {name}": _stages(settings[name]["lead"], at) for name in settings}
    found |= {f"fronts {name}": _stages(settings[name]["volume"], at) for name in settings}
    found |= {f"saved {name}": _saved(settings[name]["saved"]) for name in settings}
    head = "| | candidates | best accuracy | modules to the nearest | to the 20th |\n|---|---|---|---|---|\n"
    rows = []
    for name, one in settings.items():
        cells = (TITLES[name], one["candidates"][0], f"{100 * one['top']:.2f} %", *one["steps"])
        rows.append(f"| {' | '.join(map(str, cells))} |\n")
    return {**found, "settings": head + "".join(rows)}


def _stages(curves: Mapping[str, Any], at: list[int]) -> str:
    """Mean and middle 80 % after each stage."""
    head = f"| | {' | '.join(map(str, STAGES))} |\n|---|{'---|' * len(STAGES)}\n"
    return head + "".join(
        f"| {name} | {' | '.join(_cell(*(curve[part][i] for part in ('mean', 'low', 'high'))) for i in at)} |\n"
        for name, curve in curves.items()
    )


def _cell(mean: float | None, low: float | None, high: float | None) -> str:
    return "" if mean is None else f"{mean:.2f} ({low:.2f}–{high:.2f})"


def _saved(methods: Mapping[str, Any]) -> str:
    """How many trainings each of the others needs, the median over the seeds."""
    others = list(next(iter(methods.values()))[str(STAGES[0])])
    rows = []
    for name in (name for name in methods if name not in others):
        needed = [[methods[name][str(stage)][other]["median"] for other in others] for stage in STAGES]
        cells = (" / ".join(f"{one:.0f}" for one in stage) for stage in needed)
        rows.append(f"| {name} | {' | '.join(cells)} |\n")
    head = f"| trainings of {' / '.join(others)} to find what is found in | {' | '.join(map(str, STAGES))} |\n"
    return f"{head}|---|{'---|' * len(STAGES)}\n{''.join(rows)}"
