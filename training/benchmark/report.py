"""Report of a build: accuracies, failures and training noise, as JSON and Markdown."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np

from common.atomic_files import write_atomically
from ensemble.evaluation.metrics import rows_by_stratum
from models import Architecture, EncodedSpace
from training.benchmark.ceilings import measure_ceilings
from training.benchmark.noise import SeedDesign, measure_noise
from training.benchmark.sampling import strata_of
from training.benchmark.specification import BuildSpecification, Training
from training.record import TrainingResult

REPORT, PAGE = "report.json", "report.md"
UNDIVIDED = (
    "The part that architectures of a stratum share is unknown, as no two of them have two seeds in common; the "
    "agreement is at least as stated."
)


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
    accuracies: dict[Architecture, dict[int, float]] = {}
    for training in trainings:
        result = results.get(training)
        if result is not None and result.accuracy is not None:
            accuracies.setdefault(training.architecture, {})[training.seed] = result.accuracy
    trained = [architecture for architecture in architectures if architecture in accuracies]
    means = [fmean(accuracies[architecture].values()) for architecture in trained]
    ended = [results[training] for training in trainings if training in results]
    space = specification.space
    strata = strata_of(space, trained)
    by_stratum = {
        str(stratum): _statistics([means[row] for row in rows]) for stratum, rows in rows_by_stratum(strata).items()
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
        "accuracy": _statistics(means),
        "stratum_label": space.stratum_label if isinstance(space, EncodedSpace) else None,
        "accuracy_by_stratum": by_stratum if isinstance(space, EncodedSpace) else {},
        "noise": _noise([accuracies[architecture] for architecture in trained], strata, specification.seed),
    }


def _noise(accuracies: Sequence[Mapping[int, float]], strata: Sequence[int], seed: int) -> dict[str, Any] | None:
    """Training noise and ceilings as plain JSON; None if no architecture has several trainings."""
    design = SeedDesign(accuracies, strata)
    noise = measure_noise(design, seed)
    if noise is None:
        return None
    groups = {
        "within_stratum": list(rows_by_stratum(strata).values()),
        "overall": [np.arange(len(strata))],
    }
    ceilings = {name: measure_ceilings(design, rows, seed) for name, rows in groups.items()}
    return {**noise.to_json(), "ceilings": {name: value and asdict(value) for name, value in ceilings.items()}}


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
    return "\n".join([*lines, "", *noise_lines(report)]) + "\n"


def noise_lines(report: Mapping[str, Any]) -> list[str]:
    """Return the training noise of a report in words, as lines of Markdown.

    Args:
        report: the result of `make_report`.
    """
    noise, stratum = report["noise"], report["stratum_label"] or "stratum"
    if noise is None:
        return ["Training noise is unknown: no architecture has two trainings yet."]
    degrees, own_degrees = noise["degrees_of_freedom"], noise["own_degrees_of_freedom"]
    shared_degrees, is_divided = degrees - own_degrees, own_degrees > 0
    lines = [
        f"Training noise, from {noise['num_repeated']} architectures with several seeds, with {noise['level']:.0%} "
        "intervals:",
        "",
        f"| standard deviation of the {report['metric']} over seeds | estimate | degrees of freedom |",
        "|---|---|---|",
        f"| in all | {_text(noise['std'])} | {degrees} |",
    ]
    if is_divided:
        lines += [
            f"| of an architecture alone | {_text(noise['own_std'])} | {own_degrees} |",
            f"| shared by architectures of the same {stratum} | {_text(noise['shared_std'])} | {shared_degrees} |",
        ]
    lines += [
        "",
        "| agreement of a perfect predictor with the table | reliability | Spearman | Kendall |",
        "|---|---|---|---|",
    ]
    for name, label in (("within_stratum", f"within the same {stratum}"), ("overall", "over all")):
        ceilings = noise["ceilings"][name]
        row = [label, *(_text(ceilings and ceilings[column]) for column in ("reliability", "spearman", "kendall"))]
        lines.append(f"| {' | '.join(row)} |")
    if not is_divided:
        lines += ["", UNDIVIDED]
    return lines


def number_text(number: float | None) -> str:
    """Return a number with four decimals; a dash for None."""
    return "–" if number is None else f"{number:.4f}"


def _text(estimate: Mapping[str, float] | None) -> str:
    """Estimate with its interval; a dash for None."""
    return "–" if estimate is None else f"{estimate['value']:.4f} ({estimate['low']:.4f} to {estimate['high']:.4f})"


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
