"""Commands `archrank study …` and `archrank suggest`."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from service.cli.common import Folder, Json, app
from service.cli.options import SettingFields, parse_fields

if TYPE_CHECKING:
    from study.definition import Unit

study_app = typer.Typer(
    help="Studies: predictors that learn your own task from its trained architectures.", no_args_is_help=True
)
app.add_typer(study_app, name="study")

Name = Annotated[str, typer.Argument(help="name of the study")]
Url = Annotated[str | None, typer.Option(help="server that keeps the studies; its API key is read from ARCHRANK_KEY")]
StudiesFolder = Annotated[
    Path | None, typer.Option("--folder", show_default="runs/studies", help="local folder of the studies")
]
RequiredSpace = Annotated[str, typer.Option(help="search space; `archrank spaces list` lists all")]
SourceNames = Annotated[
    list[str] | None,
    typer.Option("--source", help="ensemble of another task that is a source; may be repeated; by default all"),
]
Number = Annotated[int, typer.Option("--n", min=1, help="number of architectures")]
Seed = Annotated[int, typer.Option(help="seed of the candidates")]


@study_app.command()
def create(
    name: Name,
    space: RequiredSpace,
    setting: SettingFields = None,
    task: Annotated[str, typer.Option(help="name of the task or data set")] = "",
    metric: Annotated[str, typer.Option(help="name of the metric")] = "accuracy",
    direction: Annotated[str, typer.Option(help="maximize or minimize")] = "maximize",
    unit: Annotated[str, typer.Option(help="fraction (0 to 1), percent (0 to 100) or number")] = "fraction",
    source: SourceNames = None,
    no_sources: Annotated[bool, typer.Option("--no-sources", help="learn from the observations alone")] = False,
    url: Url = None,
    folder: StudiesFolder = None,
    ensembles_dir: Folder = None,
    as_json: Json = False,
) -> None:
    """Create a study, or open the one of the same definition."""
    from common.errors import InputError

    if no_sources and source:
        raise InputError("source", source, "none with --no-sources")
    state = _studies(url, folder, ensembles_dir).create(
        {
            "name": name,
            "space": space,
            "settings": parse_fields("setting", setting),
            "task": task,
            "metric": {"name": metric, "direction": direction, "unit": unit},
            "sources": [] if no_sources else source,
        }
    )
    _show_state(state, as_json)


@study_app.command()
def observe(
    name: Name,
    architecture: Annotated[str | None, typer.Option(help="the architecture, JSON")] = None,
    value: Annotated[float | None, typer.Option(help="its metric after the training")] = None,
    error: Annotated[str | None, typer.Option(help="reason of a failed training, in place of a value")] = None,
    seconds: Annotated[float | None, typer.Option(help="time of the training")] = None,
    epochs: Annotated[int | None, typer.Option(help="number of epochs")] = None,
    curve: Annotated[
        str | None,
        typer.Option(
            help="metric after each epoch so far, JSON list; without value and error, of a training that still runs"
        ),
    ] = None,
    file: Annotated[
        Path | None, typer.Option(help="many observations: JSON Lines, or CSV with a header (.csv)")
    ] = None,
    url: Url = None,
    folder: StudiesFolder = None,
    ensembles_dir: Folder = None,
    as_json: Json = False,
) -> None:
    """Add observations: trainings that ended, failed or still run. Known ones are not added again."""
    import json

    fields = {"value": value, "error": error, "seconds": seconds, "epochs": epochs, "curve": curve}
    studies = _studies(url, folder, ensembles_dir)
    result = studies.observe(name, _rows(architecture, fields, file, partial(studies.unit, name)))
    if as_json:
        typer.echo(json.dumps(result))
    else:
        typer.echo(f"{result['added']} added, {result['duplicates']} known, {result['observations']} in {name}")


@study_app.command("suggest")
def suggest_next(
    name: Name,
    number: Number = 5,
    seed: Seed = 0,
    url: Url = None,
    folder: StudiesFolder = None,
    ensembles_dir: Folder = None,
    as_json: Json = False,
) -> None:
    """Suggest architectures to train next, one JSON line each; their predictions are on standard error."""
    _show_suggestions(_studies(url, folder, ensembles_dir).suggest(name, number, seed), as_json)


@study_app.command()
def predict(
    name: Name,
    file: Annotated[Path, typer.Option(help="architectures: JSON Lines, or a JSON list; - for standard input")],
    url: Url = None,
    folder: StudiesFolder = None,
    ensembles_dir: Folder = None,
    as_json: Json = False,
) -> None:
    """Predict architectures."""
    import json

    from rich.console import Console

    from service.cli import study_tables
    from service.cli.study_files import read_architectures

    document = _studies(url, folder, ensembles_dir).predict(name, read_architectures(file))
    if as_json:
        typer.echo(json.dumps(document))
    else:
        Console().print(study_tables.predictions(document["predictions"], document["notes"]))


@study_app.command()
def show(
    name: Name, url: Url = None, folder: StudiesFolder = None, ensembles_dir: Folder = None, as_json: Json = False
) -> None:
    """Show a study: observations, quality of its predictions by number of trained architectures, and its best."""
    _show_state(_studies(url, folder, ensembles_dir).state(name), as_json)


@study_app.command()
def export(
    name: Name,
    out: Annotated[Path | None, typer.Option(help="file; by default standard output")] = None,
    url: Url = None,
    folder: StudiesFolder = None,
    ensembles_dir: Folder = None,
) -> None:
    """Export a study as one JSON document."""
    import json

    from common.atomic_files import check_new_file, write_atomically

    if out is not None:
        check_new_file(out)
    content = json.dumps(_studies(url, folder, ensembles_dir).export(name))
    if out is None:
        typer.echo(content)
    else:
        out.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(out, content.encode() + b"\n")


@study_app.command("import")
def import_file(
    file: Annotated[Path, typer.Argument(help="file of `archrank study export`")],
    url: Url = None,
    folder: StudiesFolder = None,
    ensembles_dir: Folder = None,
    as_json: Json = False,
) -> None:
    """Import an exported study. If it exists, its observations are added."""
    from common.files import read_json

    _show_state(_studies(url, folder, ensembles_dir).load(read_json(file, "FILE", pipe=True)), as_json)


@app.command()
def suggest(
    space: RequiredSpace,
    setting: SettingFields = None,
    number: Number = 25,
    source: SourceNames = None,
    no_sources: Annotated[bool, typer.Option("--no-sources", help="choose by structure alone")] = False,
    seed: Seed = 0,
    ensembles_dir: Folder = None,
    as_json: Json = False,
) -> None:
    """Suggest the first architectures to train on a new task, one JSON line each."""
    from common.errors import InputError
    from models import get_space
    from service.cli.common import settings
    from study import StudyDefinition, StudyPredictor, load_sources, prediction_document, source_names
    from study import suggest as choose

    if no_sources and source:
        raise InputError("source", source, "none with --no-sources")
    chosen, directory = get_space(space, **parse_fields("setting", setting)), settings(ensembles_dir=ensembles_dir)
    names = () if no_sources else source or source_names(chosen, directory.ensembles_dir)
    definition = StudyDefinition("suggestions", chosen.name, chosen.settings, sources=tuple(names))
    sources = load_sources(names, chosen, directory.ensembles_dir)
    predictor = StudyPredictor.fit(definition, chosen, [], sources)
    suggestions = [prediction_document(chosen, *item) for item in choose(predictor, number, seed=seed)]
    document = {"observations": 0, "pending": 0, "notes": list(predictor.notes), "suggestions": suggestions}
    _show_suggestions(document, as_json)


def _studies(url: str | None, folder: Path | None, ensembles_dir: Path | None) -> Any:
    from service.cli.study_backends import open_studies

    return open_studies(url, folder, ensembles_dir)


def _rows(architecture: str | None, fields: dict[str, Any], file: Path | None, unit: Callable[[], "Unit"]) -> list[Any]:
    from common.errors import InputError
    from common.files import parse_json
    from study import read_observations

    given = {name: value for name, value in fields.items() if value is not None}
    if file is not None:
        for name, value in ({"architecture": architecture} if architecture is not None else {} | given).items():
            raise InputError(name, value, "nothing with --file")
        return read_observations(file, unit())
    if architecture is None:
        raise InputError("architecture", None, "an architecture in JSON, or --file")
    if not given.keys() & {"value", "error", "curve"}:
        raise InputError("value", None, "a number, --error for a failed training, or --curve for one that still runs")
    if "curve" in given:
        given["curve"] = parse_json(given["curve"].encode(), "curve")
    return [{"architecture": parse_json(architecture.encode(), "architecture"), "value": None, **given}]


def _show_suggestions(document: dict[str, Any], as_json: bool) -> None:
    import json

    from rich.console import Console

    from service.cli import study_tables

    if as_json:
        typer.echo(json.dumps(document))
        return
    for item in document["suggestions"]:
        typer.echo(json.dumps({"architecture": item["architecture"]}))
    Console(stderr=True).print(study_tables.predictions(document["suggestions"], document["notes"]))


def _show_state(state: dict[str, Any], as_json: bool) -> None:
    import json

    from rich.console import Console

    from service.cli import study_tables

    if as_json:
        typer.echo(json.dumps(state))
    else:
        Console().print(study_tables.state_tables(state))
