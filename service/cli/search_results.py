"""What a search leaves in its folder, and shows at its end."""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.markup import escape
from rich.table import Table

from common.atomic_files import write_atomically
from models import Architecture, SearchSpace
from search import front
from search.log import SearchLog, TrialResult
from search.run import ranked
from service.cli.search_figure import picture
from service.cli.tables import number_table

FILES = ("trials.csv", "front.svg", "result.json")
SHOWN = 10
"""Trials that the result names as the best."""


def write(
    folder: Path, header: Mapping[str, Any], log: SearchLog, space: SearchSpace[Architecture], **more: Any
) -> Any:
    """Write `result.json`, `trials.csv` and `front.svg`, each in one step, and return what is in the first.

    Args:
        folder: where the log is.
        header: of the log.
        log: what was found.
        space: of the architectures.
        more: for the result.
    """
    trials, found = log.trials, {trial.architecture: trial for trial in log.trials}
    on_front = [found[trial.architecture] for trial in front(trials)]
    layers = [trial.architecture.depth for trial in trials]
    numbers = {trial.architecture: number for number, trial in enumerate(trials, start=1)}

    def card(trial: TrialResult) -> dict[str, Any]:
        number = numbers[trial.architecture]
        return {
            "trial": number,
            "accuracy": trial.accuracy,
            "interval": {"low": trial.low, "high": trial.high},
            "layers": layers[number - 1],
            "flops": trial.flops,
            "parameters": trial.params,
            "fingerprint": trial.architecture.fingerprint,
            "architecture": space.to_json(trial.architecture),
            "warnings": list(trial.warnings),
        }

    result = {
        **header,
        "trials": len(trials),
        "failed": sum(trial.accuracy is None for trial in trials),
        "seconds": round(log.seconds, 3),
        **more,
        "best": [card(trial) for trial in ranked(trials)[:SHOWN]],
        "front": [card(trial) for trial in on_front],
    }
    title = f"{header['strategy']} search of {space.name}, {len(trials)} architectures, seed {header['seed']}"
    text = json.dumps(result, indent=1, allow_nan=False).encode() + b"\n"
    contents = _csv(space, trials, layers, on_front), picture(title, trials, layers, on_front), text
    for name, content in zip(FILES, contents, strict=True):
        write_atomically(folder / name, content)
    return result


def table(result: Mapping[str, Any]) -> Table:
    """The best trials. What should make one trust them less stands below, each thing once."""
    shown = number_table("trial", "accuracy", "90 % interval", "layers", "GFLOPs", "parameters")
    shown.columns[2].no_wrap = True
    remarks: dict[str, list[str]] = {}
    for one in result["best"]:
        title, interval = f"#{one['trial']}", f"{one['interval']['low']:.4f}–{one['interval']['high']:.4f}"
        numbers = (str(one["layers"]), f"{1e-9 * one['flops']:.3f}", f"{one['parameters']:,}")
        shown.add_row(title, f"{one['accuracy']:.4f}", interval, *numbers)
        for warning in one["warnings"]:
            remarks.setdefault(warning, []).append(title)
    if remarks:
        lines = (f"{', '.join(titles)}: {warning}" for warning, titles in remarks.items())
        shown.caption, shown.caption_justify = escape("\n".join(lines)), "left"
    return shown


def _csv(
    space: SearchSpace[Architecture],
    trials: Sequence[TrialResult],
    layers: Sequence[int],
    on_front: Sequence[TrialResult],
) -> bytes:
    text = io.StringIO()
    columns = ["trial", "accuracy", "low", "high", "layers", "flops", "parameters", "front"]
    writer = csv.writer(text)
    writer.writerow([*columns, "fingerprint", "architecture", "warnings", "error"])
    best = {trial.architecture for trial in on_front}
    for number, (trial, depth) in enumerate(zip(trials, layers, strict=True), start=1):
        arch = trial.architecture
        numbers = [number, trial.accuracy, trial.low, trial.high, depth, trial.flops, trial.params, int(arch in best)]
        said = [arch.fingerprint, json.dumps(space.to_json(arch)), "; ".join(trial.warnings), trial.error]
        writer.writerow([*numbers, *said])
    return text.getvalue().encode()
