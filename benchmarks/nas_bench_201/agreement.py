"""Our proxy scores against the published ones, by rank correlation."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.markdown import markdown
from benchmarks.nas_bench_201.tables import short
from ensemble.data.loading import load_benchmark
from ensemble.data.scores import ScoreTable, load_scores
from ensemble.evaluation.metrics import spearman
from models import get_space

Column = NDArray[np.float64]
AGREES = 0.95
"""Smallest Spearman's ρ at which two rankings are said to agree."""
REASONS: dict[str, str] = {
    "epe_nas": "chance, and other images: two of our seeds agree little, and better than with photographs",
    "grasp": "chance: two of our seeds agree no better",
    "jacov": "chance: two of our seeds agree no better",
    "l2_norm": "chance: it counts convolutions, and weights decide among as many; two of our seeds agree hardly better",
    "plain": "chance: two of our seeds agree no better",
    "sed": "not applicable: the network states no topology",
}
"""Reasons for a difference, by proxy."""


def make_table(folder: Path, scores: Path, other_seed: Path) -> str:
    """Markdown table of the rank correlations of our scores with the published ones and with the accuracy.

    Args:
        folder: folder of the published tables.
        scores: table of our scores, of architectures of `proxies_9445.csv`.
        other_seed: the same with another seed of images and weights, which shows how far chance decides.
    """
    table, other = load_scores(scores), load_scores(other_seed)
    benchmark = load_benchmark(folder / "proxies_9445.csv", get_space("nas-bench-201", **table.header["settings"]))
    published = ScoreTable.from_published(benchmark)
    entries = [entry for entry in benchmark.entries if entry.architecture.fingerprint in table.features]
    accuracy = np.array([entry.accuracy for entry in entries])

    def column(source: ScoreTable, name: str) -> Column:
        features = [source.features[entry.architecture.fingerprint].get(name) for entry in entries]
        return np.array([np.nan if feature is None else feature for feature in features], dtype=np.float64)

    head: tuple[str, ...] = ("proxy", "with the published", "with another seed", "with accuracy")
    head += ("published with accuracy", "agrees", "reason")
    rows = [head, ("---",) * len(head)]
    for name in table.header["proxies"]:
        ours, theirs = column(table, name), column(published, name)
        rho, repeated = _rho(ours, theirs), _rho(ours, column(other, name))
        verdict = "not published" if rho is None else "yes" if rho >= AGREES else "no"
        reason = REASONS.get(name, "")
        cells = map(_cell, (rho, repeated, _rho(ours, accuracy), _rho(theirs, accuracy)))
        rows.append((f"`{name}`", *cells, verdict, reason))
    return markdown(rows)


def _rho(a: Column, b: Column) -> float | None:
    known = ~np.isnan(a) & ~np.isnan(b)
    return spearman(a[known], b[known])


def _cell(rho: float | None) -> str:
    return "–" if rho is None else short(rho)
