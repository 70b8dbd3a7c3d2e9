"""Commands on benchmarks: benchmark, evaluate, fit, report."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from service.cli.common import Device, Folder, app, benchmark_app, progress_bar, settings, show
from service.cli.options import (
    BatchFields,
    Proxies,
    SettingFields,
    Space,
    chosen_space,
    default_space,
    parse_fields,
    proxy_option,
)

if TYPE_CHECKING:
    from ensemble import Benchmark, Ensemble, ScoreTable
    from models import SearchSpace

CORES = os.cpu_count() or 1
BenchmarkArgument = Annotated[Path, typer.Argument(help="folder of the public JSON files, or a JSON Lines file")]
BenchmarkOption = Annotated[Path, typer.Option(help="folder of the public JSON files, or a JSON Lines file")]
ScoresOption = Annotated[
    Path | None,
    typer.Option(help="table of `benchmark score`; by default the shipped one for this benchmark, else none"),
]
Folds = Annotated[int, typer.Option(min=2, help="folds of the cross-validation")]
Repeats = Annotated[int, typer.Option(min=1, help="repeats of the cross-validation")]
Jobs = Annotated[int, typer.Option(min=1, help="number of processes")]
Seed = Annotated[int, typer.Option(help="seed of folds and combiners")]
CurveEpochs = Annotated[
    int | None, typer.Option(min=1, help="number of first epochs whose training curve is an input; none by default")
]


@benchmark_app.command()
def validate(path: BenchmarkArgument, space: Space = None, setting: SettingFields = None) -> None:
    """Check a benchmark and print a summary."""
    from ensemble import load_benchmark
    from ensemble.data.benchmark import metric_of

    benchmark = load_benchmark(path, chosen_space(space, setting))
    low, high, metric = benchmark.accuracy.min(), benchmark.accuracy.max(), metric_of(benchmark.space).label
    typer.echo(f"{len(benchmark)} architectures of {benchmark.space.name}, {metric} {low:.4f} to {high:.4f}")
    typer.echo(f"published scores: {', '.join(benchmark.proxies) or 'none'}")
    typer.echo(f"data hash: {benchmark.data_hash}")


@benchmark_app.command("score")
def score_benchmark(
    path: BenchmarkArgument,
    out: Annotated[Path, typer.Option(help="table of scores, JSON Lines; an existing one is completed")],
    space: Space = None,
    setting: SettingFields = None,
    batch: BatchFields = None,
    seed: Annotated[int, typer.Option(help="seed of weights and random draws")] = 0,
    repeats: Annotated[int, typer.Option(help="random draws that zen averages")] = 1,
    proxies: Proxies = None,
    jobs: Annotated[
        int | None, typer.Option(min=1, help="number of processes; by default one per core, or one on a GPU")
    ] = None,
    limit: Annotated[int | None, typer.Option(min=0, help="total number of rows to stop at")] = None,
    device: Device = "auto",
) -> None:
    """Compute the proxy scores of a benchmark; can be interrupted and resumed."""
    from common.atomic_files import check_new_file
    from ensemble.data.loading import published_space
    from models import BuildableSpace, require
    from models.batch_spec import make_batch_spec
    from service.cli import score_benchmark as scoring
    from service.inference.registry import find_device

    check_new_file(out)
    names = None if proxies is None else proxy_option(proxies)
    scored_space = chosen_space(space, setting) or published_space(path) or default_space()
    spec = make_batch_spec(require(scored_space, BuildableSpace).task, parse_fields("batch", batch))
    device_type = find_device(device or "auto").type
    jobs = jobs or (1 if device_type == "cuda" else CORES)
    with progress_bar("scoring") as progress:
        added = scoring.score_benchmark(
            path, out, spec, seed, repeats, names, jobs, limit, device_type, scored_space, progress
        )
    typer.echo(f"{added} rows added to {out}")


@app.command()
def fit(
    benchmark: BenchmarkOption,
    out: Annotated[Path, typer.Option(help="folder of the new ensemble")],
    scores: ScoresOption = None,
    space: Space = None,
    setting: SettingFields = None,
    name: Annotated[str | None, typer.Option(help="name of the ensemble; by default the folder's")] = None,
    rows: Annotated[
        int | None, typer.Option(min=0, help="number of random architectures to fit to; all by default")
    ] = None,
    source: Annotated[
        list[str] | None,
        typer.Option(
            "--source",
            metavar="ENSEMBLE",
            help="ensemble of another task of the space to learn from, by its name in --ensembles-dir or its path; may "
            "be repeated. With sources, fewer than 20 architectures are enough for ranks",
        ),
    ] = None,
    combiners: Annotated[str | None, typer.Option(help="comma-separated names; all by default")] = None,
    default: Annotated[
        str | None,
        typer.Option(help="combiner that predicts from structure by default: transfer with sources, else structure"),
    ] = None,
    curves: CurveEpochs = None,
    folds: Folds = 10,
    seed: Seed = 0,
    evaluation: Annotated[
        Path | None, typer.Option(help="JSON of `evaluate --json`, stored in the ensemble as its metrics")
    ] = None,
    ensembles: Folder = None,
    jobs: Jobs = CORES,
) -> None:
    """Fit an ensemble of all combiners and print its card."""
    from ensemble import Ensemble, shortcomings
    from ensemble.artifact import check_replaceable
    from ensemble.card import ranking_note
    from ensemble.evaluation.schema import load_evaluation
    from service.api.documents import ensemble_card
    from service.cli import metric_tables

    check_replaceable(out)
    sources = load_ensembles(source or [], settings(ensembles_dir=ensembles).ensembles_dir, "source")
    trained, table, _ = load_tables(benchmark, scores, chosen_space(space, setting), allow_empty=bool(sources))
    trained = trained if rows is None else trained.sample(rows, seed)
    metrics = load_evaluation(evaluation, trained) if evaluation else None
    with progress_bar("fitting") as progress:
        ensemble = Ensemble.fit(
            trained,
            table,
            name or out.resolve().name,
            seed=seed,
            folds=folds,
            combiners=combiners.split(",") if combiners is not None else None,
            default=default,
            metrics=metrics,
            sources=sources,
            curve_epochs=curves,
            jobs=jobs,
            progress=progress,
        )
    show(ensemble_card(ensemble.manifest), False, metric_tables.card_tables)
    notes = [ranking_note(ensemble.manifest)] if ensemble.ranks_only else shortcomings(ensemble.manifest)
    for line in notes:
        typer.echo(f"NOTE: {line}", err=True)
    ensemble.save(out)
    typer.echo(f"{ensemble.name}: {', '.join(ensemble.combiners)} in {out}")


@app.command()
def evaluate(
    benchmark: BenchmarkOption,
    scores: ScoresOption = None,
    space: Space = None,
    setting: SettingFields = None,
    curves: CurveEpochs = None,
    repeats: Repeats = 5,
    folds: Folds = 10,
    seed: Seed = 0,
    jobs: Jobs = CORES,
    as_json: Annotated[bool, typer.Option("--json", help="print the evaluation as JSON")] = False,
) -> None:
    """Evaluate proxies, baselines and combiners on a benchmark by repeated cross-validation."""
    import json

    from rich.console import Console

    from service.cli import metric_tables

    trained, table, _ = load_tables(benchmark, scores, chosen_space(space, setting))
    evaluation = _evaluate(trained, table, repeats, folds, seed, jobs, curves)
    if as_json:
        typer.echo(json.dumps(evaluation, allow_nan=False))
    else:
        Console().print(*metric_tables.evaluation_tables(evaluation), sep="\n")


@app.command()
def report(
    benchmark: BenchmarkOption,
    out: Annotated[Path, typer.Option(help="folder of the report")],
    scores: ScoresOption = None,
    space: Space = None,
    setting: SettingFields = None,
    evaluation: Annotated[
        Path | None, typer.Option(help="JSON of `evaluate --json`; by default evaluated now, which takes minutes")
    ] = None,
    repeats: Repeats = 5,
    folds: Folds = 10,
    seed: Seed = 0,
    jobs: Jobs = CORES,
) -> None:
    """Write a report on a benchmark: an HTML page with figures, and its tables as CSV."""
    from rich.console import Console

    from ensemble.evaluation.schema import load_evaluation
    from ensemble.report import check_report_folder, load_epochs, published_seconds, score_seconds, write_report

    check_report_folder(out)
    trained, table, source = load_tables(benchmark, scores, chosen_space(space, setting))
    results = (
        load_evaluation(evaluation, trained) if evaluation else _evaluate(trained, table, repeats, folds, seed, jobs)
    )
    with Console(stderr=True).status("drawing"):
        page = write_report(
            trained,
            table,
            results,
            out,
            by_epoch=load_epochs(benchmark, trained),
            published_seconds=published_seconds(benchmark, trained),
            our_seconds=score_seconds(source, trained) if source else None,
        )
    typer.echo(page)


def _evaluate(
    trained: "Benchmark",
    table: "ScoreTable | None",
    repeats: int,
    folds: int,
    seed: int,
    jobs: int,
    curve_epochs: int | None = None,
) -> dict[str, Any]:
    from ensemble import evaluate

    with progress_bar("cross-validation") as progress:
        return evaluate(trained, table, repeats, folds, seed, progress, jobs, curve_epochs=curve_epochs)


def load_ensembles(texts: Sequence[str], folder: Path, field: str) -> "list[Ensemble]":
    """Load ensembles by their names in a folder, or by their paths.

    Args:
        texts: names or paths.
        folder: the folder.
        field: name of the option in errors.

    Raises:
        UnknownNameError: there is no such ensemble.
        ArtifactError: an ensemble is broken.
    """
    from ensemble import Ensemble
    from models import UnknownNameError

    names = sorted(path.parent.name for path in folder.glob("[!.]*/manifest.json"))
    for text in texts:
        if text not in names and not Path(text).is_dir():
            raise UnknownNameError(field, text, [*names, "the path of an ensemble"])
    return [Ensemble.load(folder / text if text in names else text) for text in texts]


def load_tables(
    benchmark: Path, scores: Path | None, space: "SearchSpace[Any] | None", *, allow_empty: bool = False
) -> "tuple[Benchmark, ScoreTable | None, Path | None]":
    """Load a benchmark, its scores and their path.

    The header of the scores sets the search space, if no option does. Without a path, the shipped scores are used if
    they cover the benchmark.
    """
    from ensemble import load_benchmark, load_scores
    from models import get_space
    from service.settings import SHIPPED

    if scores is None:
        trained = load_benchmark(benchmark, space, allow_empty=allow_empty)
        shipped = SHIPPED.parent / "data" / f"{trained.name}.scores.jsonl"
        table = load_scores(shipped) if shipped.is_file() else None
        if table is None or not table.covers(trained):
            return trained, None, None
        typer.echo(f"using the scores in {shipped}", err=True)
        return trained, table, shipped
    table = load_scores(scores)
    space = space or get_space(table.header["space"], **table.header["settings"])
    return load_benchmark(benchmark, space, allow_empty=allow_empty), table, scores
