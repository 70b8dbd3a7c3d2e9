"""Commands of the service and of its ensembles: serve, predict, score, ensembles, demo, doctor, openapi."""

import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from service.cli.common import Device, Folder, Json, app, settings, show
from service.cli.options import BatchFields, Proxies, SettingFields, Space, chosen_space, parse_fields, proxy_option

if TYPE_CHECKING:
    from service.inference.context import AppContext
    from service.inference.results import PredictionResult, ScoreResult
    from service.inference.scheduler import Requester
    from service.settings import Settings

File = Annotated[Path, typer.Argument(help="body of the HTTP request, as JSON; -: standard input", allow_dash=True)]

Result = TypeVar("Result")


@app.command()
def serve(
    host: Annotated[str | None, typer.Option(help="address to listen on")] = None,
    port: Annotated[int | None, typer.Option(help="port to listen on; 0 chooses a free one")] = None,
    device: Device = None,
    ensembles: Folder = None,
) -> None:
    """Start the HTTP service."""
    from service.server.serve import serve

    serve(settings(host=host, port=port, device=device, ensembles_dir=ensembles), typer.echo)


@app.command()
def predict(
    file: File,
    explain: Annotated[bool, typer.Option("--explain", help="explain each prediction and suggest mutations")] = False,
    compare: Annotated[bool, typer.Option("--compare", help="compare the architectures pairwise")] = False,
    space: Space = None,
    setting: SettingFields = None,
    as_json: Json = False,
    device: Device = None,
    ensembles: Folder = None,
) -> None:
    """Predict the accuracy, percentile and rank of the architectures in FILE. Options override its fields."""
    from dataclasses import replace

    from service.api.documents import prediction_response
    from service.api.schemas import PredictionRequest
    from service.cli import tables
    from service.inference import pipeline

    options = settings(device=device, ensembles_dir=ensembles)
    body = PredictionRequest.model_validate(_json(file, options))
    query = replace(body.to_query(), explain=explain or body.explain, **_space_fields(space, setting))

    def work(context: "AppContext", requester: "Requester") -> "Coroutine[Any, Any, PredictionResult]":
        return pipeline.predict(body.architectures, query, context, requester, compare or body.compare)

    response = prediction_response(_run(work, options))
    show(response, as_json, tables.predictions, tables.comparison, tables.explanations)


@app.command()
def score(
    file: File,
    space: Space = None,
    setting: SettingFields = None,
    batch: BatchFields = None,
    proxies: Proxies = None,
    as_json: Json = False,
    device: Device = None,
    ensembles: Folder = None,
) -> None:
    """Compute the zero-cost proxies of the architectures in FILE. Options override its fields."""
    from dataclasses import replace

    from service.api.documents import score_response
    from service.api.schemas import ScoreRequest
    from service.cli import tables
    from service.inference import pipeline

    options = settings(device=device, ensembles_dir=ensembles)
    body = ScoreRequest.model_validate(_json(file, options))
    query = replace(body.to_query(), **_space_fields(space, setting))
    if proxies is not None:
        query = replace(query, proxies=proxy_option(proxies))
    if batch:
        query = replace(query, batch=parse_fields("batch", batch))
        options = options.model_copy(update={"max_flops_ratio": float("inf")})  # the batch may be of recorded data

    def work(context: "AppContext", requester: "Requester") -> "Coroutine[Any, Any, ScoreResult]":
        return pipeline.score(body.architectures, query, context, requester)

    show(score_response(_run(work, options)), as_json, tables.scores)


@app.command()
def ensembles(
    name: Annotated[str | None, typer.Argument(help="name of an ensemble (default: all)")] = None,
    as_json: Json = False,
    folder: Folder = None,
) -> None:
    """Show the cards of the ensembles: training data, metrics and limitations."""
    from service.api.documents import ensemble_card
    from service.cli import metric_tables
    from service.inference.registry import EnsembleRegistry

    registry = EnsembleRegistry.load(settings(ensembles_dir=folder))
    for loaded in [registry.get(name)] if name is not None else registry.ensembles.values():
        show(ensemble_card(loaded.manifest), as_json, metric_tables.card_tables)


@app.command()
def demo(
    examples: Annotated[Path | None, typer.Option(help="directory with architectures.json and names.json")] = None,
    space: Space = None,
    setting: SettingFields = None,
) -> None:
    """Start a server, predict the example architectures over HTTP, and rank them.

    With --space, the architectures are presets and samples of the space; they are scored if it has no ensemble.
    """
    from models import InputError
    from service.cli.demo import EXAMPLES_DIR, run_examples, run_space

    chosen = chosen_space(space, setting)
    if chosen is None:
        run_examples(examples or EXAMPLES_DIR)
    elif examples is not None:
        raise InputError("examples", str(examples), "none with --space")
    else:
        run_space(chosen, parse_fields("setting", setting))


@app.command()
def doctor(
    host: Annotated[str | None, typer.Option(help="address that the service will listen on")] = None,
    port: Annotated[int | None, typer.Option(help="port that the service will listen on")] = None,
    device: Device = None,
    ensembles: Folder = None,
    as_json: Json = False,
) -> None:
    """Check the installation, and say how to fix problems. Exits with 1 if there is an error."""
    from service.cli.doctor import CHECKS, Installation, run_checks
    from service.cli.doctor.table import findings

    options = {"host": host, "port": port, "device": device, "ensembles_dir": ensembles}
    installation = Installation({name: value for name, value in options.items() if value is not None})
    report = run_checks(CHECKS, installation)
    show(report, as_json, findings)
    raise typer.Exit(int(report.failed))


@app.command()
def openapi(
    markdown: Annotated[bool, typer.Option("--markdown", help="print it as Markdown")] = False,
) -> None:
    """Print the OpenAPI document of the HTTP service."""
    import json

    from service.api.markdown import render_markdown
    from service.app import create_app

    document = create_app().openapi()
    typer.echo((render_markdown(document) if markdown else json.dumps(document, indent=1)).encode(), nl=not markdown)


def _space_fields(space: str | None, setting: list[str] | None) -> dict[str, Any]:
    """Fields of a query for the options that are given."""
    fields = {"space": space, "settings": parse_fields("setting", setting) or None}
    return {name: value for name, value in fields.items() if value is not None}


def _json(file: Path, settings: "Settings") -> Any:
    from common.strict_json import loads

    return loads(_content(file), settings.max_json_depth)


def _run(work: "Callable[[AppContext, Requester], Coroutine[Any, Any, Result]]", settings: "Settings") -> Result:
    """Run the work in this process, as a server would."""
    import asyncio

    from service.app import make_backend, make_context
    from service.inference.registry import EnsembleRegistry
    from service.inference.scheduler import Requester

    ensembles = EnsembleRegistry.load(settings)
    backend = make_backend(settings.model_copy(update={"backend": "inline"}), ensembles)

    async def run() -> Result:
        return await work(make_context(settings, ensembles, backend, None), Requester())

    backend.start()
    try:
        return asyncio.run(run())
    finally:
        backend.stop()


def _content(file: Path) -> bytes:
    """Return the content of the file, or of standard input for `-`."""
    from common.files import BYTE_ORDER_MARK, read_file
    from models import InputError

    if str(file) != "-":
        return read_file(file, "FILE", pipe=True)
    if sys.stdin is None:
        raise InputError("FILE", "-", "a file, or standard input that is open")
    return sys.stdin.buffer.read().removeprefix(BYTE_ORDER_MARK)
