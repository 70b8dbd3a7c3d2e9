"""Commands that predict, and what belongs to the service: serve, predict, score, ensembles, doctor, demo, openapi."""

import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from service.cli.common import Device, Json, app, settings, show

if TYPE_CHECKING:
    from service.inference.context import AppContext
    from service.inference.results import PredictionResult, ScoreResult
    from service.inference.scheduler import Requester
    from service.settings import Settings

File = Annotated[Path, typer.Argument(help="JSON as POSTed over HTTP; - reads standard input", allow_dash=True)]
Folder = Annotated[Path | None, typer.Option("--ensembles-dir", help="folder that holds the ensembles")]

Result = TypeVar("Result")


@app.command()
def serve(
    host: Annotated[str | None, typer.Option(help="address to listen on")] = None,
    port: Annotated[int | None, typer.Option(help="port; 0 takes a free one")] = None,
    device: Device = None,
    ensembles: Folder = None,
) -> None:
    """Start the HTTP service."""
    from service.server.serve import serve

    serve(settings(host=host, port=port, device=device, ensembles_dir=ensembles), typer.echo)


@app.command()
def predict(
    file: File,
    explain: Annotated[bool, typer.Option("--explain", help="say what moved each prediction")] = False,
    compare: Annotated[bool, typer.Option("--compare", help="say how probably one beats the other")] = False,
    as_json: Json = False,
    device: Device = None,
    ensembles: Folder = None,
) -> None:
    """Predict accuracy, percentile and rank of the architectures in FILE."""
    from dataclasses import replace

    from service.api.documents import prediction_response
    from service.api.schemas import PredictionRequest
    from service.cli import tables
    from service.inference import pipeline

    options = settings(device=device, ensembles_dir=ensembles)
    body = PredictionRequest.model_validate(_json(file, options))
    query = replace(body.to_query(), explain=explain or body.explain)

    def work(context: "AppContext", requester: "Requester") -> "Coroutine[Any, Any, PredictionResult]":
        return pipeline.predict(body.architectures, query, context, requester, compare or body.compare)

    response = prediction_response(_run(work, options))
    show(response, as_json, tables.predictions, tables.comparison, tables.explanations)


@app.command()
def score(file: File, as_json: Json = False, device: Device = None, ensembles: Folder = None) -> None:
    """Compute zero-cost proxies of the architectures in FILE."""
    from service.api.documents import score_response
    from service.api.schemas import ScoreRequest
    from service.cli import tables
    from service.inference import pipeline

    options = settings(device=device, ensembles_dir=ensembles)
    body = ScoreRequest.model_validate(_json(file, options))

    def work(context: "AppContext", requester: "Requester") -> "Coroutine[Any, Any, ScoreResult]":
        return pipeline.score(body.architectures, body.to_query(), context, requester)

    show(score_response(_run(work, options)), as_json, tables.scores)


@app.command()
def ensembles(
    name: Annotated[str | None, typer.Argument(help="which one; all if not given")] = None,
    as_json: Json = False,
    folder: Folder = None,
) -> None:
    """Show the cards of the ensembles: what each was fitted on, how good it is, what it is not good for."""
    from service.api.documents import ensemble_card
    from service.cli import metric_tables
    from service.inference.registry import EnsembleRegistry

    registry = EnsembleRegistry.load(settings(ensembles_dir=folder))
    for loaded in [registry.get(name)] if name is not None else registry.ensembles.values():
        show(ensemble_card(loaded.manifest), as_json, metric_tables.card_tables)


@app.command()
def demo(
    examples: Annotated[Path | None, typer.Option(help="folder with architectures.json and names.json")] = None,
) -> None:
    """Start a server, post the example architectures to it, and show how they rank."""
    from service.cli.demo import EXAMPLES, run

    run(examples or EXAMPLES)


@app.command()
def doctor(
    host: Annotated[str | None, typer.Option(help="address that the service is to listen on")] = None,
    port: Annotated[int | None, typer.Option(help="its port")] = None,
    device: Device = None,
    ensembles: Folder = None,
    as_json: Json = False,
) -> None:
    """Look for what is wrong with the set-up, and say what to do; exit code 1 where something is."""
    from service.cli.doctor import CHECKS, Setup, examine
    from service.cli.doctor.table import findings

    given = {"host": host, "port": port, "device": device, "ensembles_dir": ensembles}
    report = examine(CHECKS, Setup({name: value for name, value in given.items() if value is not None}))
    show(report, as_json, findings)
    raise typer.Exit(int(report.failed))


@app.command()
def openapi(
    markdown: Annotated[bool, typer.Option("--markdown", help="print it as a page for people")] = False,
) -> None:
    """Print the OpenAPI document of the HTTP service."""
    import json

    from service.api.markdown import page
    from service.app import create_app

    document = create_app().openapi()
    typer.echo((page(document) if markdown else json.dumps(document, indent=1)).encode(), nl=not markdown)


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
    """Of the file, or of standard input for `-`."""
    from common.files import BYTE_ORDER_MARK, read_file
    from models import InputError

    if str(file) != "-":
        return read_file(file, "FILE", pipe=True)
    if sys.stdin is None:
        raise InputError("FILE", "-", "a file, or standard input that is open")
    return sys.stdin.buffer.read().removeprefix(BYTE_ORDER_MARK)
