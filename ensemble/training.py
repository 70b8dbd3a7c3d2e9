"""Fitting of an ensemble: its combiners, its manifest and its reference set."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from common.version import archrank_version
from ensemble.calibration.applicability import SAMPLED, ReferenceSet
from ensemble.combiners import TRANSFER, combiner_names, get_combiner
from ensemble.data.benchmark import Benchmark, task_summary
from ensemble.data.columns import Columns
from ensemble.data.curve import CurveFeatures
from ensemble.data.features import FeatureTable, feature_table
from ensemble.data.scores import ScoreTable
from ensemble.embedded_sources import source_scores
from ensemble.errors import BenchmarkError
from ensemble.evaluation.baselines import baselines
from ensemble.evaluation.cross_validation import Progress, held_out_predictions
from ensemble.evaluation.protocol import (
    MIN_ARCHITECTURES,
    benchmark_curve_features,
    benchmark_features,
    check_size,
    structural_folds,
    summarize,
    usable_combiners,
)
from ensemble.fitted_combiner import FittedCombiner
from ensemble.source import Source
from models import BuildableSpace, EncodedSpace, InputError, ProbeBatch, SearchSpace, require

REFERENCE_SIZE = 1000
"""Random architectures: the reference of `transfer`, and of the percentiles where an ensemble only ranks."""


class FittedParts(NamedTuple):
    """Arguments of an `Ensemble`."""

    manifest: dict[str, Any]
    space: SearchSpace[Any]
    fitted: Mapping[str, FittedCombiner]
    reference_set: ReferenceSet
    batch: ProbeBatch | None
    sources: Sequence[Source]


def fit_combiners(
    benchmark: Benchmark,
    scores: ScoreTable | None,
    name: str | None,
    seed: int,
    folds: int,
    combiners: Sequence[str] | None,
    default: str,
    metrics: Mapping[str, Any] | None,
    entries: list[dict[str, Any]],
    sources: Sequence[Source],
    curve_epochs: int | None,
    jobs: int,
    progress: Progress | None,
) -> FittedParts:
    """Fit and cross-validate combiners. Arguments and exceptions are those of `Ensemble.fit`.

    `entries` are those of the sources in the manifest.
    """
    check_size(benchmark, " without sources")
    _check_default(default, with_sources=bool(sources))
    scores = scores.leave_out_sparse_proxies(benchmark) if scores is not None else None
    header = scores.header if scores is not None else {}
    batch = _batch(header, benchmark.space)  # fails early: fitting takes minutes
    names = combiners if combiners is None or default in combiners else [*combiners, default]
    curve_features = benchmark_curve_features(benchmark, curve_epochs)
    table, y = _features(benchmark, scores, sources, curve_features), benchmark.accuracy
    infos, left_out = usable_combiners(table.columns, names)
    if not infos:
        allowed = "one that can be fitted: " + "; ".join(f"{name}: {reason}" for name, reason in left_out.items())
        raise BenchmarkError("combiners", names, allowed)
    splits = structural_folds(table, y, folds, seed)
    held_out = held_out_predictions([*baselines(table.columns), *infos], table, y, [splits], seed, jobs, progress)
    measured = summarize(held_out, benchmark) | {"method": {"repeats": 1, "folds": folds, "seed": seed}}
    fitted = {info.name: FittedCombiner.fit(info, table, y, held_out[info.name].accuracy[0], seed) for info in infos}
    for combiner in fitted.values():
        for part, reason in combiner.left_out.items():
            left_out[f"{part} in {combiner.info.name}"] = reason
    manifest = _manifest(benchmark, name, seed, default, table.columns, entries) | {
        "proxies": {proxy: header["proxies"][proxy] for proxy in scores.proxies} if scores is not None else {},
        "left_out": {"combiners": left_out, "proxies": scores.left_out if scores is not None else {}},
        "batch": header.get("batch"),
        "batch_fingerprint": header.get("batch_fingerprint"),
        "proxy_seed": header.get("seed"),
        "proxy_repeats": header.get("repeats"),
        "curve": curve_features and curve_features.to_json(),
        "combiners": [info.name for info in infos],
        "metrics": dict(metrics or measured),
    }
    return FittedParts(manifest, benchmark.space, fitted, ReferenceSet.from_table(table), batch, sources)


def fit_ranking(
    benchmark: Benchmark,
    scores: ScoreTable | None,
    name: str | None,
    seed: int,
    combiners: Sequence[str] | None,
    default: str,
    entries: list[dict[str, Any]],
    sources: Sequence[Source],
) -> FittedParts:
    """Fit the combiner `transfer` alone, to fewer than `MIN_ARCHITECTURES` architectures.

    Arguments and exceptions are those of `Ensemble.fit`; `entries` are those of the sources in the manifest.
    """
    needed = f"at least {MIN_ARCHITECTURES} trained architectures"
    if default != TRANSFER:
        raise InputError("default", default, f"{TRANSFER}, the only combiner without {needed}")
    info = get_combiner(TRANSFER)
    table = _features(benchmark, None, sources)
    if reason := info.missing_input(table.columns):
        raise BenchmarkError("combiners", TRANSFER, f"one that can be fitted: {reason}")
    assert table.columns.reference is not None, "there are sources"
    reference = FeatureTable(table.columns, table.columns.reference)
    fitted = FittedCombiner.fit_ranking(info, table, benchmark.accuracy, reference, seed)
    others = [other for other in combiners or combiner_names() if other != TRANSFER]
    manifest = _manifest(benchmark, name, seed, default, table.columns, entries) | {
        "proxies": {},
        "left_out": {
            "combiners": {get_combiner(other).name: f"it needs {needed}" for other in others},
            "proxies": dict.fromkeys(scores.proxies if scores else (), f"it needs {needed}"),
        },
        "batch": None,
        "batch_fingerprint": None,
        "proxy_seed": None,
        "proxy_repeats": None,
        "curve": None,
        "combiners": [TRANSFER],
        "metrics": {},
    }
    reference_set = ReferenceSet.from_table(reference, SAMPLED)
    return FittedParts(manifest, benchmark.space, {TRANSFER: fitted}, reference_set, None, sources)


def _check_default(default: str, with_sources: bool) -> None:
    info = get_combiner(default)
    if info.needs_proxies or info.needs_curve or (info.needs_sources and not with_sources):
        allowed = "a combiner that needs no proxy scores, no training curve" + ("" if with_sources else ", no sources")
        raise InputError("default", default, allowed)


def _features(
    benchmark: Benchmark,
    scores: ScoreTable | None,
    sources: Sequence[Source],
    curve_features: CurveFeatures | None = None,
) -> FeatureTable:
    """Features of a benchmark; with sources, its columns have those of random architectures as their reference.

    Proxy scores and training curves of the random architectures are missing.
    """
    table = benchmark_features(benchmark, scores, source_scores(sources, benchmark.architectures), curve_features)
    if not sources:
        return table
    rng = np.random.default_rng(0)
    architectures = list(dict.fromkeys(benchmark.space.sample(rng) for _ in range(REFERENCE_SIZE)))
    proxies = scores.proxies if scores is not None else ()
    random = feature_table(
        benchmark.space, architectures, None, proxies, source_scores(sources, architectures), curve_features
    )
    return FeatureTable(replace(table.columns, reference=random.values), table.values)


def _manifest(
    benchmark: Benchmark,
    name: str | None,
    seed: int,
    default: str,
    columns: Columns,
    sources: list[dict[str, Any]],
) -> dict[str, Any]:
    """Fields of the manifest that every ensemble has in the same form."""
    return {
        "name": name or benchmark.name,
        "space": benchmark.space.name,
        "settings": benchmark.space.settings,
        "task": task_summary(benchmark.space),
        "feature_version": feature_version(benchmark.space),
        "seed": seed,
        "benchmark": benchmark.summary,
        "default": default,
        "columns": list(columns.names),
        "sources": sources,
        "created_by": f"archrank {archrank_version()}",
    }


def feature_version(space: SearchSpace[Any]) -> str | None:
    """Return the version of a space's structural features; None for a space without."""
    return space.feature_version if isinstance(space, EncodedSpace) else None


def _batch(header: Mapping[str, Any], space: SearchSpace[Any]) -> ProbeBatch | None:
    """Make the batch that a table of scores was computed with.

    Raises:
        BenchmarkError: the batch has another fingerprint than the table states.
    """
    if header.get("batch") is None:
        return None
    task = require(space, BuildableSpace).task
    batch = task.batch_spec(**header["batch"]).make(task)
    if batch.fingerprint != header["batch_fingerprint"]:
        raise BenchmarkError("scores, batch_fingerprint", header["batch_fingerprint"], f"{batch.fingerprint}, as now")
    return batch
