"""Tables of docs/nas-bench-201.md, from the finished fits alone."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks.markdown import markdown
from benchmarks.nas_bench_201.material import POPULATIONS, SPLITS
from ensemble.combiners.registry import BUILT_IN
from models.nas_bench_201.macro import DATASETS

Key = tuple[str, str, str, int, str]
"""Population, data set, split, training rows, combiner."""


def mean_by_key(fits: Sequence[Mapping[str, Any]]) -> dict[Key, float]:
    """Mean τ over the draws."""
    values: dict[Key, list[float]] = defaultdict(list)
    for fit in fits:
        values[fit["population"], fit["dataset"], fit["split"], fit["rows"], fit["combiner"]].append(fit["kendall"])
    return {key: float(np.mean(draws)) for key, draws in values.items()}


def make_tables(fits: Sequence[Mapping[str, Any]], ceilings: Mapping[str, Mapping[str, float]]) -> dict[str, str]:
    """Markdown tables by name: one for each population and data set, and the ceilings."""
    means = mean_by_key(fits)
    made = {"ceiling": _ceiling_table(ceilings)}
    for name, population in POPULATIONS.items():
        for dataset in population.datasets:
            made[f"{name} {dataset}"] = _tau_table(means, name, dataset)
    return made


def _tau_table(means: Mapping[Key, float], population: str, dataset: str) -> str:
    sizes = POPULATIONS[population].sizes
    rows = [("", *(f"{size:,}" for size in sizes)), ("---",) * (len(sizes) + 1)]
    for info in BUILT_IN:
        cells = []
        for size in sizes:
            values = [means.get((population, dataset, split, size, info.name)) for split in SPLITS]
            cells.append(" / ".join("–" if value is None else short(value) for value in values))
        rows.append((f"`{info.name}`", *cells))
    return markdown(rows)


def _ceiling_table(ceilings: Mapping[str, Mapping[str, float]]) -> str:
    rows = [("", "twins", "pairs"), ("---",) * 3]
    for dataset, ceiling in ceilings.items():
        rows.append((DATASETS[dataset].title, short(ceiling["kendall"]), f"{ceiling['pairs']:,.0f}"))
    return markdown(rows)


def short(value: float) -> str:
    return f"{value:.3f}".replace("0.", ".", 1).replace("-", "−")
