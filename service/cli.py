"""The command line: `archrank`. Heavy imports wait inside the commands, so that `--help` is quick."""

import functools
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ParamSpec, TypeVar

import typer

if TYPE_CHECKING:
    from pydantic import BaseModel

    from ensemble import Benchmark, ScoreTable
    from service.library import Library
    from service.settings import Settings
    from service.worker import Work

P = ParamSpec("P")
R = TypeVar("R")
CORES = os.cpu_count() or 1
HELP = "Predicts how well graph-convolutional architectures will perform, without training them."
app = typer.Typer(help=HELP, no_args_is_help=True, pretty_exceptions_enable=False, add_completion=False)
benchmark_app = typer.Typer(help="Benchmarks of trained architectures.", no_args_is_help=True)
app.add_typer(benchmark_app, name="benchmark")

File = Annotated[Path, typer.Argument(help="JSON as POSTed over HTTP; - reads standard input", allow_dash=True)]
Json = Annotated[bool, typer.Option("--json", help="print the JSON that HTTP answers instead of a table")]
Device = Annotated[str | None, typer.Option(help="auto, cpu or cuda")]
Bench = Annotated[Path, typer.Argument(help="folder of the public JSON files, or a JSON Lines file")]
BenchOption = Annotated[Path, typer.Option(help="folder of the public JSON files, or a JSON Lines file")]
Scores = Annotated[
    Path | None,
    typer.Option(help="table of `benchmark score`; if not given ours, or structure alone"),
]
Folds = Annotated[int, typer.Option(min=2, help="folds of the cross-validation")]
Jobs = Annotated[int, typer.Option(min=1, help="processes")]
Folder = Annotated[Path | None, typer.Option("--ensembles", help="folder that holds the ensembles")]


def one_line_errors(command: Callable[P, R]) -> Callable[P, R]:
    """Bad input ends in one line on standard error and exit code 2."""

    @functools.wraps(command)
    def careful(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return command(*args, **kwargs)
        except Exception as error:
            from pydantic import ValidationError

            from models.errors import ArchrankError
            from service.errors import problem

            if isinstance(error, OSError):
                line = f"{error.filename or 'system'}: {error.strerror or error}"
            elif isinstance(error, ValidationError):
                line = problem(error).detail
            elif isinstance(error, ArchrankError):
                line = str(error)
            else:
                raise
            typer.echo(" ".join(line.split()), err=True)
            raise typer.Exit(2) from error

    return careful


@app.command()
@one_line_errors
def serve(
    host: Annotated[str | None, typer.Option(help="address to listen on")] = None,
    port: Annotated[int | None, typer.Option(help="port; 0 takes a free one")] = None,
    device: Device = None,
    ensembles: Folder = None,
) -> None:
    """Start the HTTP service."""
    from service.serve import serve

    serve(_settings(host=host, port=port, device=device, ensembles_folder=ensembles), typer.echo)


@app.command()
@one_line_errors
def predict(file: File, as_json: Json = False, device: Device = None, ensembles: Folder = None) -> None:
    """Predict accuracy, percentile and rank of the architectures in FILE."""
    from service import pipeline, tables
    from service.schemas import PredictionRequest

    settings = _settings(device=device, ensembles_folder=ensembles)
    answer = _answer(file, PredictionRequest, pipeline.predict, settings)
    _show(answer, as_json, tables.predictions)


@app.command()
@one_line_errors
def score(file: File, as_json: Json = False, device: Device = None, ensembles: Folder = None) -> None:
    """Compute zero-cost proxies of the architectures in FILE."""
    from service import pipeline, tables
    from service.schemas import ScoreRequest

    settings = _settings(device=device, ensembles_folder=ensembles)
    answer = _answer(file, ScoreRequest, pipeline.score_all, settings)
    _show(answer, as_json, tables.scores)


@app.command()
@one_line_errors
def demo(
    examples: Annotated[Path | None, typer.Option(help="folder with architectures.json and names.json")] = None,
) -> None:
    """Start a server, post the example architectures to it, and show how they rank."""
    from service.demo import EXAMPLES, run

    run(examples or EXAMPLES)


@app.command()
def openapi() -> None:
    """Print the OpenAPI document of the HTTP service."""
    import json

    from service.app import create_app

    typer.echo(json.dumps(create_app().openapi(), indent=1))


@benchmark_app.command()
@one_line_errors
def validate(path: Bench) -> None:
    """Read a benchmark, and say what is in it or what is wrong with it."""
    from ensemble import load_benchmark

    read = load_benchmark(path)
    low, high = read.accuracy.min(), read.accuracy.max()
    typer.echo(f"{len(read)} architectures of {read.space.name}, accuracy {low:.4f} to {high:.4f}")
    typer.echo(f"published scores: {', '.join(read.proxies) or 'none'}")
    typer.echo(f"data hash: {read.data_hash}")


@benchmark_app.command("score")
@one_line_errors
def score_benchmark(
    path: Bench,
    out: Annotated[Path, typer.Option(help="table of scores, JSON Lines; if it exists, what is missing is added")],
    samples: Annotated[int, typer.Option(help="samples in the probe batch")] = 4,
    frames: Annotated[int, typer.Option(help="frames of each sample")] = 8,
    source: Annotated[str, typer.Option(help="of the probe batch: synthetic, ntu or npz")] = "synthetic",
    data: Annotated[str | None, typer.Option(help="recorded data: a data.npy for ntu, an .npz for npz")] = None,
    labels: Annotated[str | None, typer.Option(help="labels of an ntu array, .npy or .json")] = None,
    batch_seed: Annotated[int, typer.Option(help="seed of the probe batch")] = 0,
    seed: Annotated[int, typer.Option(help="seed of weights and draws")] = 0,
    draws: Annotated[int, typer.Option(help="draws that zen averages")] = 1,
    proxies: Annotated[str | None, typer.Option(help="names, separated by commas; all if not given")] = None,
    skeleton: Annotated[str, typer.Option(help="ntu (25 joints) or kinect (20 joints)")] = "ntu",
    persons: Annotated[int, typer.Option(help="persons in a sample")] = 2,
    classes: Annotated[int, typer.Option(help="number of classes")] = 60,
    jobs: Annotated[int | None, typer.Option(min=1, help="processes; all cores, on a GPU one")] = None,
    limit: Annotated[int | None, typer.Option(help="stop after that many rows")] = None,
    device: Device = "auto",
) -> None:
    """Compute proxy scores of every architecture of a benchmark; may be stopped and called again."""
    from models import get_space
    from models.batches import BatchSpec
    from service import score_benchmark as scoring
    from service.library import find_device

    batch = BatchSpec.model_validate(
        {"source": source, "samples": samples, "frames": frames, "seed": batch_seed, "data": data, "labels": labels}
    )
    names = [name.strip() for name in proxies.split(",")] if proxies is not None else None
    space = get_space("gcn-nas", skeleton=skeleton, persons=persons, num_classes=classes)
    where = find_device(device or "auto").type
    jobs = jobs or (1 if where == "cuda" else CORES)
    with _progress("scoring") as progress:
        added = scoring.score_benchmark(path, out, batch, seed, draws, names, jobs, limit, where, space, progress)
    typer.echo(f"{added} rows added to {out}")


@app.command()
@one_line_errors
def fit(
    benchmark: BenchOption,
    out: Annotated[Path, typer.Option(help="folder to write the ensemble to")],
    scores: Scores = None,
    name: Annotated[str | None, typer.Option(help="what to call it; the folder's name if not given")] = None,
    folds: Folds = 10,
    seed: Annotated[int, typer.Option(help="seed of the combiners and of the folds")] = 0,
    report: Annotated[Path | None, typer.Option(help="JSON of `evaluate --json`, to be kept in the manifest")] = None,
    jobs: Jobs = CORES,
) -> None:
    """Fit an ensemble of all combiners on a benchmark and the scores of its architectures."""
    from ensemble import Ensemble
    from service.strict_json import loads

    measured = loads(report.read_bytes(), max_nesting=32) if report else {}
    metrics = {part: measured[part] for part in ("method", "depth", "baselines", "combiners") if part in measured}
    trained, table = _trained(benchmark, scores)
    with _progress("fitting") as progress:
        ensemble = Ensemble.fit(
            trained,
            table,
            name or out.resolve().name,
            seed=seed,
            folds=folds,
            metrics=metrics,
            jobs=jobs,
            progress=progress,
        )
    ensemble.save(out)
    typer.echo(f"{ensemble.name}: {', '.join(ensemble.combiners)} in {out}")


@app.command()
@one_line_errors
def evaluate(
    benchmark: BenchOption,
    scores: Scores = None,
    repeats: Annotated[int, typer.Option(min=1, help="how often the folds are drawn anew")] = 5,
    folds: Folds = 10,
    seed: Annotated[int, typer.Option(help="seed of folds and combiners")] = 0,
    jobs: Jobs = CORES,
    as_json: Annotated[bool, typer.Option("--json", help="print the whole report as JSON")] = False,
) -> None:
    """Measure proxies, baselines and combiners on a benchmark in repeated cross-validation."""
    import json

    from rich.console import Console

    from ensemble import evaluate
    from service import tables

    trained, table = _trained(benchmark, scores)
    with _progress("cross-validation") as progress:
        report = evaluate(trained, table, repeats, folds, seed, progress, jobs)
    if as_json:
        typer.echo(json.dumps(report, allow_nan=False))
    else:
        Console().print(*tables.report(report), sep="\n")


def _trained(benchmark: Path, scores: Path | None) -> "tuple[Benchmark, ScoreTable | None]":
    """A benchmark, and its scores, which then say what the search space's settings are.

    Where none are given, those that come with archrank, if they are of this benchmark.
    """
    from ensemble import load_benchmark, load_scores
    from models import get_space
    from service.settings import SHIPPED

    if scores is None:
        trained = load_benchmark(benchmark)
        ours = SHIPPED.parent / "data" / f"{trained.name}.scores.jsonl"
        table = load_scores(ours) if ours.is_file() else None
        if table is None or not {arch.fingerprint for arch in trained.architectures} <= table.features.keys():
            return trained, None
        typer.echo(f"with the scores in {ours}", err=True)
        return trained, table
    table = load_scores(scores)
    return load_benchmark(benchmark, get_space(table.header["space"], **table.header["settings"])), table


@contextmanager
def _progress(what: str) -> Iterator[Callable[[int, int], None]]:
    """A bar on standard error, for callers that report how many are done of how many."""
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _settings(**given: Any) -> "Settings":
    """From the environment, except what the command line gives."""
    from service.settings import Settings

    return Settings(**{name: value for name, value in given.items() if value is not None})


def _answer(
    file: Path,
    request: "type[BaseModel]",
    plan: "Callable[[Any, Library], Work[Any]]",
    settings: "Settings",
) -> "BaseModel":
    """What HTTP would answer to the JSON in the file."""
    from service.app import prepare
    from service.library import Library
    from service.strict_json import loads

    text = sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
    asked = request.model_validate(loads(text, settings.max_nesting))
    library = Library.load(settings)
    prepare(settings, library.device)
    answer: BaseModel = plan(asked, library).run()
    return answer


def _show(answer: Any, as_json: bool, table: Callable[[Any], Any]) -> None:
    if as_json:
        typer.echo(answer.model_dump_json())
    else:
        from rich.console import Console

        Console().print(table(answer))


if __name__ == "__main__":
    app()
