"""Files of a finished or stopped search, and its table."""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import typer
from rich.markup import escape
from rich.table import Table

from common.atomic_files import write_atomically
from common.extras import MissingExtraError, require_extra
from ensemble.data.benchmark import metric_of, stratum_label
from models import EncodedSpace, SearchSpace
from search import SearchLog, TrialResult, pareto_front, sort_by_accuracy
from service.cli.tables import number_table

FILES = ("trials.csv", "search.svg", "result.json")
NUM_BEST = 10
"""Trials that the result lists as the best."""


def write_results(
    folder: Path, header: Mapping[str, Any], log: SearchLog, space: SearchSpace[Any], **state: Any
) -> dict[str, Any]:
    """Write `result.json`, `trials.csv` and, with the extra `report`, `search.svg`, each atomically.

    Args:
        folder: folder of the log.
        header: header of the log.
        log: log of the search.
        space: search space of the architectures.
        state: further fields of the result.

    Returns:
        The content of `result.json`.
    """
    trials, front = log.trials, pareto_front(log.trials)
    strata: list[int | None] = [None] * len(trials)
    if isinstance(space, EncodedSpace) and trials:
        strata = space.strata([trial.architecture for trial in trials]).tolist()
    stratum_of = {trial.architecture: stratum for trial, stratum in zip(trials, strata, strict=True)}
    numbers = {trial.architecture: number for number, trial in enumerate(trials, start=1)}

    def summary(trial: TrialResult) -> dict[str, Any]:
        return {
            "trial": numbers[trial.architecture],
            "accuracy": trial.accuracy,
            "interval": None if trial.interval is None else asdict(trial.interval),
            "stratum": stratum_of[trial.architecture],
            "flops": trial.flops,
            "params": trial.params,
            "fingerprint": trial.architecture.fingerprint,
            "architecture": space.to_json(trial.architecture),
            "warnings": list(trial.warnings),
        }

    result = {
        **header,
        "metric_label": metric_of(space).label,
        "stratum_label": stratum_label(space),
        "num_trials": len(trials),
        "num_failed": sum(trial.accuracy is None for trial in trials),
        "seconds": round(log.seconds, 3),
        **state,
        "best": [summary(trial) for trial in sort_by_accuracy(trials)[:NUM_BEST]],
        "pareto_front": [summary(trial) for trial in front],
    }
    title = f"{header['strategy']} search of {space.name}, {len(trials)} architectures, seed {header['seed']}"
    text = json.dumps(result, indent=1, allow_nan=False).encode() + b"\n"
    contents = {"trials.csv": _csv(space, trials, strata, front)}
    try:
        require_extra("report", "matplotlib", "jinja2")
        from service.cli.search_figure import search_figure
    except MissingExtraError as error:
        typer.echo(f"NOTE: no search.svg: {error}", err=True)
        (folder / "search.svg").unlink(missing_ok=True)
    else:
        contents["search.svg"] = search_figure(
            title, trials, strata, stratum_label(space), front, metric_of(space).label
        )
    for name, content in {**contents, "result.json": text}.items():
        write_atomically(folder / name, content)
    return result


def best_trials(result: Mapping[str, Any]) -> Table:
    """Table of the best trials, with each of their warnings once below it."""
    metric, stratum = result["metric_label"], result["stratum_label"] or "stratum"
    table = number_table("trial", metric, "90 % interval", stratum, "GFLOPs", "parameters")
    table.columns[2].no_wrap = True
    warnings: dict[str, list[str]] = {}
    for trial in result["best"]:
        title, interval = f"#{trial['trial']}", f"{trial['interval']['low']:.4f}–{trial['interval']['high']:.4f}"
        flops, params = trial["flops"], trial["params"]
        numbers = (
            "" if trial["stratum"] is None else str(trial["stratum"]),
            "" if flops is None else f"{1e-9 * flops:.3f}",
            "" if params is None else f"{params:,}",
        )
        table.add_row(title, f"{trial['accuracy']:.4f}", interval, *numbers)
        for warning in trial["warnings"]:
            warnings.setdefault(warning, []).append(title)
    if warnings:
        lines = (f"{', '.join(titles)}: {warning}" for warning, titles in warnings.items())
        table.caption, table.caption_justify = escape("\n".join(lines)), "left"
    return table


def _csv(
    space: SearchSpace[Any], trials: Sequence[TrialResult], strata: Sequence[int | None], front: Sequence[TrialResult]
) -> bytes:
    """All trials in the order in which they were proposed, one row each."""
    text = io.StringIO()
    writer = csv.writer(text)
    columns = ["trial", "accuracy", "interval_low", "interval_high", "stratum", "flops", "params", "pareto_optimal"]
    writer.writerow([*columns, "fingerprint", "architecture", "warnings", "error"])
    optimal = {trial.architecture for trial in front}
    for number, (trial, stratum) in enumerate(zip(trials, strata, strict=True), start=1):
        arch = trial.architecture
        bounds = (None, None) if trial.interval is None else (trial.interval.low, trial.interval.high)
        numbers = [number, trial.accuracy, *bounds, stratum, trial.flops, trial.params, int(arch in optimal)]
        texts = [arch.fingerprint, json.dumps(space.to_json(arch)), "; ".join(trial.warnings), trial.error]
        writer.writerow([*numbers, *texts])
    return text.getvalue().encode()
