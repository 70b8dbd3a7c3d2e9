"""The tables of docs/search.md, from the curves alone."""

import re
from collections.abc import Mapping, Sequence
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
    settings, trainings = measured["settings"], measured["trainings"]
    found = {
        f"{title} {name}": _stages(one[curves], trainings)
        for name, one in settings.items()
        for title, curves in (("searches", "regret"), ("guides", "guides"), ("lead", "lead"), ("fronts", "volume"))
    }
    found |= {f"saved {name}": _saved(one["saved"]) for name, one in settings.items()}
    head = "| | candidates | best accuracy | other modules, of the nearest | of the 20th |\n|---|---|---|---|---|\n"
    rows = []
    for name, one in settings.items():
        steps = (f"{100 * share:.0f} %" for share in one["steps"])
        cells = (TITLES[name], one["candidates"][0], f"{100 * one['top']:.2f} %", *steps)
        rows.append(f"| {' | '.join(map(str, cells))} |\n")
    return {**found, "settings": head + "".join(rows)}


def _stages(curves: Mapping[str, Any], trainings: Sequence[int]) -> str:
    """Mean and middle 80 % after each stage that the budget allows."""
    allowed = next(iter(curves.values()))["mean"]
    places = {stage: i for i, stage in enumerate(trainings) if stage in STAGES and allowed[i] is not None}
    rows = []
    for name, curve in curves.items():
        written = {part: [_written(curve[part][i]) for i in places.values()] for part in ("mean", "low", "high")}
        cells = (f"{mean} ({low}–{high})" for mean, low, high in zip(*written.values(), strict=True))
        rows.append(f"| {name} | {' | '.join(cells)} |\n")
    return f"| | {' | '.join(map(str, places))} |\n|---|{'---|' * len(places)}\n{''.join(rows)}"


def _written(value: float) -> str:
    return f"{value:.2f}".replace("-0.00", "0.00").replace("-", "−")


def _saved(methods: Mapping[str, Any]) -> str:
    """How many trainings it took itself, and would take others, the median over the seeds."""
    who = list(next(iter(methods.values()))[str(STAGES[0])])
    rows = []
    for name in (name for name in methods if name not in who):
        needed = [[by[other]["median"] for other in who] for by in methods[name].values()]
        cells = (" / ".join(f"{one:.0f}" for one in stage) for stage in needed)
        rows.append(f"| {name} | {' | '.join(cells)} |\n")
    stages = list(next(iter(methods.values())))
    head = f"| trainings of {' / '.join(who)} | {' | '.join(f'found in {stage}' for stage in stages)} |\n"
    return f"{head}|---|{'---|' * len(stages)}\n{''.join(rows)}"
