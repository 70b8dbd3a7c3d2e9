"""Tables of the results, Markdown."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from benchmarks.markdown import markdown
from benchmarks.nas_bench_graph.measuring import ALL, CALIBRATED_SIZE, COMBINER

DATASETS = ("cora", "citeseer", "pubmed", "cs", "physics", "photo", "computers", "arxiv", "proteins")
SIZES = (25, 50, 100, 200, 500, 1000, 2000)
DRAWS, OTHER_DRAWS = 5, 2
PUBLISHED = (0.725, 0.874, 0.807, 0.885, 0.885, 0.905, 0.812, 0.911, 0.759)
"""Spearman's ρ of XGBoost with 80 % of all labels (log_file/*.log of github.com/susuxy/NAS-Bench-Graph)."""


def make_tables(results: Mapping[str, Any]) -> dict[str, str]:
    """Markdown tables by name: all numbers with 500 training labels, and learning curves."""
    head = ("data set", "ρ", "τ", "coverage of 90 % intervals", "width, points", "ρ, depth only", "ρ, parameters only")
    more = ("ρ, 90 % of the labels", "τ, 90 % of the labels", "ρ, published XGBoost, 80 % of the labels")
    rows = [(*head, *more), ("---",) * len(head + more)]
    for dataset, published in zip(DATASETS, PUBLISHED, strict=True):
        draws = _draws(results[dataset], CALIBRATED_SIZE)
        ranked = [draw[COMBINER] for draw in draws]
        calibrated = next(numbers for numbers in ranked if "coverage" in numbers)
        rho = [draw["spearman"] for draw in ranked]
        cells = [
            f"**{np.mean(rho):.3f}** ± {np.std(rho):.3f}",
            f"{np.mean([draw['kendall'] for draw in ranked]):.3f}",
            f"{calibrated['coverage']:.1%}",
            f"{100 * calibrated['interval_width']:.1f}",
            *(_number(_mean(results[dataset], CALIBRATED_SIZE, name, "spearman")) for name in ("stratum", "params")),
            *(_number(_mean(results[dataset], ALL, COMBINER, metric)) for metric in ("spearman", "kendall")),
            f"{published:.3f}",
        ]
        rows.append((dataset, *cells))
    made = {"predictors": markdown(rows)}
    for metric, title in (("spearman", "learning curves, ρ"), ("kendall", "learning curves, τ")):
        curves = [("data set", *(f"{size:,}" for size in SIZES)), ("---",) * (len(SIZES) + 1)]
        curves += [
            (dataset, *(_number(_mean(results[dataset], size, COMBINER, metric)) for size in SIZES))
            for dataset in DATASETS
        ]
        made[title] = markdown(curves)
    return made


def _draws(rows: Mapping[str, Any], size: int) -> list[Any]:
    return [numbers for task, numbers in rows.items() if task.split("/")[0] == str(size)]


def _mean(rows: Mapping[str, Any], size: int, name: str, metric: str) -> float | None:
    values = [draw[name][metric] for draw in _draws(rows, size)]
    return float(np.mean(values)) if values else None


def _number(value: float | None) -> str:
    return "–" if value is None or np.isnan(value) else f"{value:.3f}"
