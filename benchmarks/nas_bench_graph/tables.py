"""Tables of the results, Markdown."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from benchmarks.nas_bench_graph.measuring import ALL, CALIBRATED_SIZE, COMBINER

DATASETS = ("cora", "citeseer", "pubmed", "cs", "physics", "photo", "computers", "arxiv", "proteins")
SIZES = (25, 50, 100, 200, 500, 1000, 2000)
DRAWS, OTHER_DRAWS = 5, 2
PUBLISHED = (0.725, 0.874, 0.807, 0.885, 0.885, 0.905, 0.812, 0.911, 0.759)
"""Spearman's ρ of XGBoost with 80 % of all labels (log_file/*.log of github.com/susuxy/NAS-Bench-Graph)."""


def tables(results: Mapping[str, Any]) -> Iterator[str]:
    """Yield the lines of the tables, Markdown."""
    yield f"Mean of {DRAWS} draws of {CALIBRATED_SIZE} training labels, tested on all others; ρ ± std over the draws."
    yield ""
    yield (
        "| data set | ρ | τ | coverage of 90 % intervals | width, points | ρ, depth only | ρ, parameters only "
        "| ρ, 90 % of the labels | ρ, published XGBoost, 80 % of the labels |"
    )
    yield "|---|---|---|---|---|---|---|---|---|"
    for dataset, published in zip(DATASETS, PUBLISHED, strict=True):
        rows = results.get(dataset, {})
        draws = _draws(rows, CALIBRATED_SIZE)
        if not draws:
            continue
        ranked = [draw[COMBINER] for draw in draws]
        rho = [draw["spearman"] for draw in ranked]
        everything = _mean(rows, ALL, COMBINER, "spearman")
        cells = [
            f"**{np.mean(rho):.3f}** ± {np.std(rho):.3f}",
            f"{np.mean([draw['kendall'] for draw in ranked]):.3f}",
            f"{np.mean([draw['coverage'] for draw in ranked if 'coverage' in draw]):.1%}",
            f"{100 * np.mean([draw['interval_width'] for draw in ranked if 'coverage' in draw]):.1f}",
            *(_number(_mean(rows, CALIBRATED_SIZE, name, "spearman")) for name in ("stratum", "params")),
            _number(everything),
            f"{published:.3f}",
        ]
        yield f"| {dataset} | {' | '.join(cells)} |"
    for metric, symbol in (("spearman", "ρ"), ("kendall", "τ")):
        yield from ("", f"{symbol} of `{COMBINER}` by the number of training labels.", "")
        yield f"| data set | {' | '.join(f'{size:,}' for size in SIZES)} |"
        yield "|---" * (len(SIZES) + 1) + "|"
        for dataset in (name for name in DATASETS if name in results):
            values = [_number(_mean(results[dataset], size, COMBINER, metric)) for size in SIZES]
            yield f"| {dataset} | {' | '.join(values)} |"
    yield ""


def _draws(rows: Mapping[str, Any], size: int) -> list[Any]:
    return [numbers for task, numbers in rows.items() if task.split("/")[0] == str(size)]


def _mean(rows: Mapping[str, Any], size: int, name: str, metric: str) -> float | None:
    values = [draw[name][metric] for draw in _draws(rows, size)]
    return float(np.mean(values)) if values else None


def _number(value: float | None) -> str:
    return "–" if value is None or np.isnan(value) else f"{value:.3f}"
