"""Command `archrank predict-curves`: predictions of an ensemble from the first epochs of trainings."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from service.cli.common import Folder, Json, app, settings

if TYPE_CHECKING:
    from ensemble import Curve, Ensemble
    from models import Architecture

FIELDS = ("architecture", "curve")


@app.command("predict-curves")
def predict_curves(
    ensemble: Annotated[str, typer.Argument(help="ensemble fitted with --curves: its name, or its path")],
    file: Annotated[
        Path, typer.Argument(help='JSON Lines with `{"architecture": …, "curve": {"training_loss": […], …}}` in each')
    ],
    ensembles: Folder = None,
    as_json: Json = False,
) -> None:
    """Predict architectures from the curves of their first epochs; one without a curve from its structure."""
    import json

    from rich.console import Console

    from service.cli.learning import load_ensembles

    (loaded,) = load_ensembles([ensemble], settings(ensembles_dir=ensembles).ensembles_dir, "ENSEMBLE")
    architectures, curves = _read_rows(file, loaded)
    predictions = [
        {
            "architecture": loaded.space.to_json(architecture),
            "accuracy": item.accuracy,
            "interval": item.interval and {"low": item.interval.low, "high": item.interval.high},
            "percentile": item.percentile,
            "combiner": item.combiner,
            "warnings": item.warnings,
        }
        for architecture, item in zip(architectures, loaded.predict(architectures, curves=curves), strict=True)
    ]
    if as_json:
        typer.echo(json.dumps({"ensemble": loaded.name, "predictions": predictions}, allow_nan=False))
    else:
        Console().print(_table(predictions))


def _read_rows(file: Path, ensemble: "Ensemble") -> "tuple[list[Architecture], list[Curve | None]]":
    """Read architectures and their curves.

    Raises:
        InputError: the file is missing or malformed, or holds no row; the error names the line and the field.
    """
    from common.errors import InputError
    from common.files import parse_json, read_file
    from ensemble.data.benchmark import metric_of
    from ensemble.data.curve import parse_curve

    architectures, curves = [], []
    for number, line in enumerate(read_file(file, "FILE", pipe=True).split(b"\n"), start=1):
        if not line.strip():
            continue
        place = f"{file.name} line {number}"
        row = parse_json(line, place)
        if not isinstance(row, dict) or "architecture" not in row or set(row) - set(FIELDS):
            raise InputError(place, row, "an object with the fields architecture and curve")
        try:
            architectures.append(ensemble.space.parse(row["architecture"]))
        except InputError as error:
            raise error.within(place) from error
        curves.append(parse_curve(row.get("curve"), place, metric_of(ensemble.space)))
    if not architectures:
        raise InputError("FILE", str(file), "at least one architecture")
    return architectures, curves


def _table(predictions: list[dict[str, Any]]) -> Any:
    from rich.console import Group
    from rich.markup import escape

    from service.cli.tables import number_table

    table, lines = number_table("architecture", "accuracy", "90 % interval", "percentile", "combiner"), list[str]()
    for i, item in enumerate(predictions, start=1):
        interval = item["interval"]
        table.add_row(
            f"#{i}",
            "–" if item["accuracy"] is None else f"{item['accuracy']:.4f}",
            "–" if interval is None else f"{interval['low']:.4f}–{interval['high']:.4f}",
            f"{100 * item['percentile']:.1f}",
            item["combiner"],
        )
        lines += [f"#{i}: {warning}" for warning in item["warnings"]]
    return Group(table, *map(escape, lines))
