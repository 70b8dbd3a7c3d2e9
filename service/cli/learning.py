"""Commands that learn from trained architectures: benchmark, evaluate, fit, report."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from service.cli.common import Device, app, benchmark_app, progress_bar, show

if TYPE_CHECKING:
    from ensemble import Benchmark, ScoreTable

CORES = os.cpu_count() or 1
Bench = Annotated[Path, typer.Argument(help="folder of the public JSON files, or a JSON Lines file")]
BenchOption = Annotated[Path, typer.Option(help="folder of the public JSON files, or a JSON Lines file")]
Scores = Annotated[
    Path | None,
    typer.Option(help="table of `benchmark score`; if not given ours, or structure alone"),
]
Folds = Annotated[int, typer.Option(min=2, help="folds of the cross-validation")]
Repeats = Annotated[int, typer.Option(min=1, help="how often the folds are drawn anew")]
Jobs = Annotated[int, typer.Option(min=1, help="processes")]
Seed = Annotated[int, typer.Option(help="seed of folds and combiners")]


@benchmark_app.command()
def validate(path: Bench) -> None:
    """Read a benchmark, and say what is in it or what is wrong with it."""
    from ensemble import load_benchmark

    read = load_benchmark(path)
    low, high = read.accuracy.min(), read.accuracy.max()
    typer.echo(f"{len(read)} architectures of {read.space.name}, accuracy {low:.4f} to {high:.4f}")
    typer.echo(f"published scores: {', '.join(read.proxies) or 'none'}")
    typer.echo(f"data hash: {read.data_hash}")


@benchmark_app.command("score")
def score_benchmark(
    path: Bench,
    out: Annotated[Path, typer.Option(help="table of scores, JSON Lines; if it exists, what is missing is added")],
    batch_size: Annotated[int, typer.Option(help="samples in the probe batch")] = 4,
    frames: Annotated[int, typer.Option(help="frames of each sample")] = 8,
    source: Annotated[str, typer.Option(help="of the probe batch: synthetic, ntu or npz")] = "synthetic",
    data: Annotated[str | None, typer.Option(help="recorded data: a data.npy for ntu, an .npz for npz")] = None,
    labels: Annotated[str | None, typer.Option(help="labels of an ntu array, .npy or .json")] = None,
    batch_seed: Annotated[int, typer.Option(help="seed of the probe batch")] = 0,
    seed: Annotated[int, typer.Option(help="seed of weights and draws")] = 0,
    repeats: Annotated[int, typer.Option(help="random draws that zen averages")] = 1,
    proxies: Annotated[str | None, typer.Option(help="names, separated by commas; all if not given")] = None,
    skeleton: Annotated[str, typer.Option(help="ntu (25 joints) or kinect (20 joints)")] = "ntu",
    num_persons: Annotated[int, typer.Option(help="persons in a sample")] = 2,
    num_classes: Annotated[int, typer.Option(help="number of classes")] = 60,
    jobs: Annotated[int | None, typer.Option(min=1, help="processes; all cores, on a GPU one")] = None,
    limit: Annotated[int | None, typer.Option(min=0, help="stop after that many rows")] = None,
    device: Device = "auto",
) -> None:
    """Compute proxy scores of every architecture of a benchmark; may be stopped and called again."""
    from common.atomic_files import check_new_file
    from models import get_space
    from models.batches import BatchSpec
    from service.cli import score_benchmark as scoring
    from service.inference.registry import find_device

    check_new_file(out)
    batch = BatchSpec.model_validate(
        {
            "source": source,
            "batch_size": batch_size,
            "frames": frames,
            "seed": batch_seed,
            "data": data,
            "labels": labels,
        }
    )
    names = [name.strip() for name in proxies.split(",")] if proxies is not None else None
    space = get_space("gcn-nas", skeleton=skeleton, num_persons=num_persons, num_classes=num_classes)
    where = find_device(device or "auto").type
    jobs = jobs or (1 if where == "cuda" else CORES)
    with progress_bar("scoring") as progress:
        added = scoring.score_benchmark(path, out, batch, seed, repeats, names, jobs, limit, where, space, progress)
    typer.echo(f"{added} rows added to {out}")


@app.command()
def fit(
    benchmark: BenchOption,
    out: Annotated[Path, typer.Option(help="folder to write the ensemble to")],
    scores: Scores = None,
    name: Annotated[str | None, typer.Option(help="what to call it; the folder's name if not given")] = None,
    folds: Folds = 10,
    seed: Seed = 0,
    evaluation: Annotated[
        Path | None, typer.Option(help="JSON of `evaluate --json`, stored in the ensemble as its metrics")
    ] = None,
    jobs: Jobs = CORES,
) -> None:
    """Fit an ensemble of all combiners, and say how it does in cross-validation before it is written."""
    from ensemble import Ensemble, shortcomings
    from ensemble.artifact import check_replaceable
    from ensemble.evaluation.schema import load_evaluation
    from service.api.documents import ensemble_card
    from service.cli import metric_tables

    check_replaceable(out)
    trained, table, _ = _trained(benchmark, scores)
    metrics = load_evaluation(evaluation, trained) if evaluation else None
    with progress_bar("fitting") as progress:
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
    show(ensemble_card(ensemble.manifest), False, metric_tables.card_tables)
    for line in shortcomings(ensemble.manifest["metrics"]):
        typer.echo(f"NOTE: {line}", err=True)
    ensemble.save(out)
    typer.echo(f"{ensemble.name}: {', '.join(ensemble.combiners)} in {out}")


@app.command()
def evaluate(
    benchmark: BenchOption,
    scores: Scores = None,
    repeats: Repeats = 5,
    folds: Folds = 10,
    seed: Seed = 0,
    jobs: Jobs = CORES,
    as_json: Annotated[bool, typer.Option("--json", help="print the whole report as JSON")] = False,
) -> None:
    """Measure proxies, baselines and combiners on a benchmark in repeated cross-validation."""
    import json

    from rich.console import Console

    from service.cli import metric_tables

    trained, table, _ = _trained(benchmark, scores)
    measured = _evaluated(trained, table, repeats, folds, seed, jobs)
    if as_json:
        typer.echo(json.dumps(measured, allow_nan=False))
    else:
        Console().print(*metric_tables.evaluation_tables(measured), sep="\n")


@app.command()
def report(
    benchmark: BenchOption,
    out: Annotated[Path, typer.Option(help="folder to write the page and its tables to")],
    scores: Scores = None,
    evaluation: Annotated[
        Path | None, typer.Option(help="JSON of `evaluate --json`; measured anew if not given, which takes minutes")
    ] = None,
    repeats: Repeats = 5,
    folds: Folds = 10,
    seed: Seed = 0,
    jobs: Jobs = CORES,
) -> None:
    """Write a page with figures and tables on a benchmark, its proxies and what can be predicted of it."""
    from rich.console import Console

    from ensemble.evaluation.schema import load_evaluation
    from ensemble.report import check_report_folder, load_epochs, published_seconds, score_seconds, write_report

    check_report_folder(out)
    trained, table, source = _trained(benchmark, scores)
    measured = (
        load_evaluation(evaluation, trained) if evaluation else _evaluated(trained, table, repeats, folds, seed, jobs)
    )
    with Console(stderr=True).status("drawing"):
        page = write_report(
            trained,
            table,
            measured,
            out,
            by_epoch=load_epochs(benchmark, trained),
            published_seconds=published_seconds(benchmark, trained),
            our_seconds=score_seconds(source, trained) if source else None,
        )
    typer.echo(page)


def _evaluated(
    trained: "Benchmark", table: "ScoreTable | None", repeats: int, folds: int, seed: int, jobs: int
) -> dict[str, Any]:
    from ensemble import evaluate

    with progress_bar("cross-validation") as progress:
        return evaluate(trained, table, repeats, folds, seed, progress, jobs)


def _trained(benchmark: Path, scores: Path | None) -> "tuple[Benchmark, ScoreTable | None, Path | None]":
    """A benchmark, its scores, which then say what the search space's settings are, and where those come from.

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
            return trained, None, None
        typer.echo(f"with the scores in {ours}", err=True)
        return trained, table, ours
    table = load_scores(scores)
    return load_benchmark(benchmark, get_space(table.header["space"], **table.header["settings"])), table, scores
