"""Report of a build: accuracies, failures and training noise, as JSON and Markdown."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np

from common.atomic_files import write_atomically
from models import Architecture, EncodedSpace
from training.benchmark.noise import measure_noise
from training.benchmark.specification import BuildSpecification, Training
from training.record import TrainingResult

REPORT, PAGE = "report.json", "report.md"


def write_report(
    path: Path,
    specification: BuildSpecification,
    architectures: Sequence[Architecture],
    trainings: Sequence[Training],
    results: Mapping[Training, TrainingResult],
) -> None:
    """Write `report.json` and `report.md` into the folder of a build.

    Args:
        path: the folder.
        specification: the specification.
        architectures: the sample.
        trainings: all trainings.
        results: results of those that have ended or failed.
    """
    report = make_report(specification, architectures, trainings, results)
    write_atomically(path / REPORT, (json.dumps(report, indent=1, allow_nan=False) + "\n").encode())
    write_atomically(path / PAGE, report_page(report).encode())


def make_report(
    specification: BuildSpecification,
    architectures: Sequence[Architecture],
    trainings: Sequence[Training],
    results: Mapping[Training, TrainingResult],
) -> dict[str, Any]:
    """Return the report as plain JSON; see `write_report`."""
    accuracies: dict[Architecture, list[float]] = {}
    for training in trainings:
        result = results.get(training)
        if result is not None and result.accuracy is not None:
            accuracies.setdefault(training.architecture, []).append(result.accuracy)
    trained = [architecture for architecture in architectures if architecture in accuracies]
    means = {architecture: fmean(accuracies[architecture]) for architecture in trained}
    ended = [results[training] for training in trainings if training in results]
    noise = measure_noise([accuracies[architecture] for architecture in trained], specification.seed)
    space = specification.space
    strata: dict[str, Any] = {}
    if isinstance(space, EncodedSpace) and trained:
        by_stratum = space.strata(trained)
        strata = {
            str(stratum): _statistics(
                [means[arch] for arch, own in zip(trained, by_stratum, strict=True) if own == stratum]
            )
            for stratum in np.unique(by_stratum)
        }
    return {
        "space": space.name,
        "settings": space.settings,
        "metric": space.task.metric.label,
        "epochs": specification.recipe.epochs,
        "architectures": {"sampled": len(architectures), "trained": len(trained)},
        "trainings": {
            "planned": len(trainings),
            "succeeded": sum(result.error is None for result in ended),
            "failed": dict(Counter(result.error for result in ended if result.error is not None)),
        },
        "hours": sum(result.seconds for result in ended) / 3600,
        "accuracy": _statistics(list(means.values())),
        "stratum_label": space.stratum_label if isinstance(space, EncodedSpace) else None,
        "accuracy_by_stratum": strata,
        "noise": None if noise is None else noise.to_json(),
    }


def report_page(report: Mapping[str, Any]) -> str:
    """Return the report in Markdown.

    Args:
        report: the result of `make_report`.
    """
    metric, trainings = report["metric"], report["trainings"]
    failed = ", ".join(f"{number} {error}" for error, number in trainings["failed"].items()) or "none"
    lines = [
        f"# Benchmark of {report['space']}",
        "",
        f"{report['architectures']['trained']} of {report['architectures']['sampled']} architectures trained for "
        f"{report['epochs']} epochs; {trainings['succeeded']} of {trainings['planned']} trainings, "
        f"{report['hours']:.1f} hours in all; failed: {failed}.",
        "",
        f"| {report['stratum_label'] or 'stratum'} | n | mean {metric} | std | lowest | highest |",
        "|---|---|---|---|---|---|",
    ]
    for name, row in [*report["accuracy_by_stratum"].items(), ("all", report["accuracy"])]:
        if row is not None:
            numbers = " | ".join(number_text(row[field]) for field in ("mean", "std", "min", "max"))
            lines.append(f"| {name} | {row['n']} | {numbers} |")
    return "\n".join([*lines, "", *noise_lines(report["noise"], metric)]) + "\n"


def noise_lines(noise: Mapping[str, Any] | None, metric: str) -> list[str]:
    """Return the noise of a report in words, as lines of Markdown.

    Args:
        noise: field `noise` of a report.
        metric: name of the metric.
    """
    if noise is None:
        return ["Training noise is unknown: no architecture has two trainings yet."]

    def text(name: str) -> str:
        estimate = noise[name]
        return f"{estimate['value']:.4f} ({estimate['low']:.4f} to {estimate['high']:.4f})"

    lines = [
        f"Training noise, from {noise['num_repeated']} architectures with several seeds "
        f"({noise['degrees_of_freedom']} degrees of freedom), with {noise['level']:.0%} intervals:",
        "",
        f"- standard deviation of the {metric} of one architecture over seeds: {text('std')}",
    ]
    if noise["reliability"] is None:
        return [*lines, "- ceiling of rank correlations: unknown, for too few architectures"]
    return [
        *lines,
        f"- fraction of the table's variance that is no noise: {text('reliability')}",
        f"- ceiling of Spearman's correlation with the table, that of a perfect predictor: {text('spearman')}",
        f"- ceiling of Kendall's correlation with the table: {text('kendall')}",
    ]


def number_text(number: float | None) -> str:
    """Return a number with four decimals; a dash for None."""
    return "–" if number is None else f"{number:.4f}"


def _statistics(values: Sequence[float]) -> dict[str, Any] | None:
    if not values:
        return None
    return {
        "n": len(values),
        "mean": fmean(values),
        "std": float(np.std(values, ddof=1)) if len(values) > 1 else None,
        "min": min(values),
        "max": max(values),
    }
