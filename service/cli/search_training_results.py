"""Files of a search that trained, and its table."""

import csv
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import typer
from rich.table import Table

from common.atomic_files import write_atomically
from common.extras import MissingExtraError, require_extra
from ensemble.data.benchmark import stratum_label
from models import Architecture, EncodedSpace
from search import SpaceDomain, TrainingLog, TrainingResult, pareto_front
from search.training import training_trial
from service.cli.tables import number_table
from study import StudyMetric

FILES = ("trials.csv", "search.svg", "result.json")
NUM_BEST = 10
"""Trainings that the result lists as the best."""


def write_results(
    folder: Path, header: Mapping[str, Any], log: TrainingLog, domain: SpaceDomain, metric: StudyMetric, **state: Any
) -> dict[str, Any]:
    """Write `result.json`, `trials.csv` and, with the extra `report`, `search.svg`, each atomically.

    Args:
        folder: folder of the log.
        header: header of the log.
        log: log of the search.
        domain: domain of the search.
        metric: metric of the trainings.
        state: further fields of the result.

    Returns:
        The content of `result.json`.
    """
    rows = [_row(log.architectures[number - 1], number, result, domain) for number, result in log.results.items()]
    trials = [training_trial(arch, result, metric.sign, domain.cost(arch)) for arch, result in log.pairs]
    by_architecture = {row["fingerprint"]: row for row in rows}
    front = [by_architecture[trial.architecture.fingerprint] for trial in pareto_front(trials)]
    trained = [row for row in rows if row["value"] is not None]
    result = {
        **header,
        "metric": metric.name,
        "stratum_label": stratum_label(domain.space),
        "num_trials": len(rows),
        "num_failed": len(rows) - len(trained),
        "last_error": next((row["error"] for row in reversed(rows) if row["value"] is None), None),
        "seconds": round(log.elapsed, 3),
        **state,
        "best": sorted(trained, key=lambda row: -metric.sign * row["value"])[:NUM_BEST],
        "pareto_front": front,
    }
    contents = {"trials.csv": _csv(rows)}
    try:
        require_extra("report", "matplotlib", "jinja2")
        from service.cli.search_figure import training_figure
    except MissingExtraError as error:
        typer.echo(f"NOTE: no search.svg: {error}", err=True)
        (folder / "search.svg").unlink(missing_ok=True)
    else:
        title = f"{header['strategy']} search of {domain.space.name}, {len(rows)} trainings, seed {header['seed']}"
        contents["search.svg"] = training_figure(title, [row["value"] for row in rows], metric.name, metric.sign)
    text = json.dumps(result, indent=1, allow_nan=False).encode() + b"\n"
    for name, content in {**contents, "result.json": text}.items():
        write_atomically(folder / name, content)
    return result


def best_trainings(result: Mapping[str, Any]) -> Table:
    """Table of the best trainings."""
    table = number_table("training", result["metric"], result["stratum_label"] or "stratum", "seconds", "parameters")
    for row in result["best"]:
        stratum, params = ("" if row[name] is None else f"{row[name]:,}" for name in ("stratum", "params"))
        table.add_row(f"#{row['trial']}", f"{row['value']:.4f}", stratum, f"{row['seconds'] or 0:.1f}", params)
    return table


def _row(arch: Architecture, number: int, result: TrainingResult, domain: SpaceDomain) -> dict[str, Any]:
    cost, space = domain.cost(arch), domain.space
    return {
        "trial": number,
        "value": result.value,
        "error": result.error,
        "seconds": result.seconds,
        "epochs": result.epochs,
        "stratum": int(space.strata([arch])[0]) if isinstance(space, EncodedSpace) else None,
        "flops": None if cost is None else cost.flops,
        "params": None if cost is None else cost.params,
        "fingerprint": arch.fingerprint,
        "architecture": space.to_json(arch),
    }


def _csv(rows: list[dict[str, Any]]) -> bytes:
    """All trainings in the order in which they ended, one row each."""
    text = io.StringIO()
    names = [
        "trial",
        "value",
        "seconds",
        "epochs",
        "stratum",
        "flops",
        "params",
        "fingerprint",
        "architecture",
        "error",
    ]
    writer = csv.DictWriter(text, names)
    writer.writeheader()
    writer.writerows({**row, "architecture": json.dumps(row["architecture"])} for row in rows)
    return text.getvalue().encode()
