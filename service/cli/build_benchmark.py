"""Command `archrank benchmark build`."""

import os
import re
from pathlib import Path
from threading import TIMEOUT_MAX
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from common.errors import InputError
from service.cli.common import Device, Folder, Json, benchmark_app
from service.cli.options import BatchFields, FixedFields, SettingFields, finite, parse_fields, proxy_option

if TYPE_CHECKING:
    from models import BuildableSpace, SearchSpace
    from training import Recipe
    from training.benchmark import BuildSpecification, DataSource
    from training.benchmark.building import Budget
    from training.benchmark.sampling import Sample

CORES = os.cpu_count() or 1
INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells report it."""
UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
MAX_TIMEOUT_S = 1e6
"""Eleven days; the wait for a process takes at most twice as long."""


@benchmark_app.command()
def build(
    space: Annotated[str, typer.Option(help="search space; `archrank spaces list` lists all")],
    data: Annotated[Path, typer.Option(help="file or folder of the data to train on")],
    out: Annotated[Path, typer.Option(help="folder of the benchmark; a build in it is continued")],
    setting: SettingFields = None,
    split: Annotated[str | None, typer.Option(help="rule that divides the samples, e.g. view")] = None,
    data_field: Annotated[
        list[str] | None,
        typer.Option(
            "--data-field", metavar="KEY=VALUE", help="choice about the data, e.g. frames=16; may be repeated"
        ),
    ] = None,
    architectures: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="number of architectures; may be raised when a build is continued",
            show_default="all with --from, else 100",
        ),
    ] = None,
    from_file: Annotated[
        Path | None, typer.Option("--from", help="architectures to train, JSON Lines; random ones by default")
    ] = None,
    study: Annotated[
        str | None,
        typer.Option(help="study that suggests the architectures: its folder, or its URL, http://…/v1/studies/NAME"),
    ] = None,
    strata: Annotated[
        str | None,
        typer.Option(help="strata that random architectures are divided evenly among, e.g. 4,6 for depths of gcn-nas"),
    ] = None,
    fix: FixedFields = None,
    max_flops: Annotated[
        float | None, typer.Option(callback=finite, help="maximum FLOPs of one sample, e.g. 4e9")
    ] = None,
    max_params: Annotated[
        float | None, typer.Option(callback=finite, help="maximum number of parameters, e.g. 4e6")
    ] = None,
    epochs: Annotated[
        int | None,
        typer.Option(
            min=1, help="epochs of a training; the recipe's milestones are scaled", show_default="the recipe's"
        ),
    ] = None,
    recipe: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KEY=VALUE", help="hyperparameter, e.g. learning_rate=0.05; by default the public benchmark's"
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="seed of the sample, and of the first training of each architecture")] = 0,
    repeat: Annotated[
        float,
        typer.Option(
            help="fraction of the architectures that several seeds train, two by two of one stratum; two of a stratum "
            "tell an architecture's own training noise from the noise that it shares with its stratum"
        ),
    ] = 0.1,
    seeds: Annotated[int, typer.Option(help="number of these seeds")] = 2,
    proxies: Annotated[
        str, typer.Option(help="proxies to compute during the trainings: none, all, or names separated by commas")
    ] = "none",
    probe_epochs: Annotated[
        str, typer.Option(help="numbers of completed epochs at which they are computed")
    ] = "0,1,2,4,6,9",
    batch: BatchFields = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="trainings at a time", show_default="1 on a GPU, else the cores")
    ] = None,
    threads: Annotated[
        int | None, typer.Option(min=1, help="threads of each", show_default="the cores divided by the workers")
    ] = None,
    backend: Annotated[Literal["process", "ray"], typer.Option(help="processes of this machine, or a Ray cluster")] = (
        "process"
    ),
    device: Device = "auto",
    timeout: Annotated[
        float | None,
        typer.Option(min=1, max=MAX_TIMEOUT_S, callback=finite, help="maximum duration of one training in seconds"),
    ] = None,
    budget: Annotated[
        str | None, typer.Option(help="limit of this call: a number of trainings, or a duration such as 90m or 4h")
    ] = None,
    retry_failed: Annotated[bool, typer.Option("--retry-failed", help="train again what failed before")] = False,
    ensembles_dir: Folder = None,
    as_json: Json = False,
) -> None:
    """Sample architectures, train each, and write a table of their accuracies, table.jsonl.

    The same command continues a build that was killed, interrupted, or limited by --budget.
    """
    import json

    from rich.console import Console

    from common.atomic_files import check_new_folder
    from models import BuildableSpace, get_space, require
    from service.cli import build_progress, build_workers
    from training.benchmark import BuildSpecification, DataSource, build_benchmark
    from training.benchmark.folder import TABLE
    from training.benchmark.report import PAGE, REPORT

    check_new_folder(out)
    trained_space = require(get_space(space, **parse_fields("setting", setting)), BuildableSpace)
    device_type = build_workers.find_training_device(backend, device or "auto")
    workers = workers or (1 if device_type == "cuda" else CORES)
    threads = threads or max(1, CORES // workers)
    specification = BuildSpecification(
        trained_space,
        _recipe(trained_space, epochs, parse_fields("recipe", recipe)),
        seed,
        repeat,
        seeds,
        **_probes(trained_space, proxies, probe_epochs, parse_fields("batch", batch)),
    )
    source = DataSource(data, split, parse_fields("data-field", data_field))
    limits = {"fixed": parse_fields("fix", fix), "max_params": max_params, "max_flops": max_flops}
    sample, number = _sample(specification, source, from_file, study, strata, limits, ensembles_dir)
    limit, make_workers = _budget(budget), build_workers.make_workers(backend, workers, device_type, out, timeout)
    with build_progress.shown() as progress:
        state = build_benchmark(
            out,
            specification,
            source,
            sample,
            architectures or number,
            make_workers,
            device=device_type,
            num_threads=threads,
            budget=limit,
            retry_failed=retry_failed,
            progress=progress,
        )
    reason = "interrupted" if state == "interrupted" else "the budget is used up"
    if not (out / REPORT).exists():
        typer.echo(f"{reason} before the first training", err=True)
        raise typer.Exit(INTERRUPTED if state == "interrupted" else 0)
    report = json.loads((out / REPORT).read_bytes())
    if as_json:
        typer.echo(json.dumps(report))
    else:
        Console().print(*build_progress.tables(report), sep="\n")
        typer.echo(f"table in {out / TABLE}, report in {out / PAGE}")
    if state != "done":
        done = report["trainings"]["succeeded"] + sum(report["trainings"]["failed"].values())
        progress_text = f"{done} of {report['trainings']['planned']} trainings"
        typer.echo(f"{reason} after {progress_text}; the same command continues the build", err=True)
    if state == "interrupted":
        raise typer.Exit(INTERRUPTED)


def _recipe(space: "BuildableSpace[Any]", epochs: int | None, fields: dict[str, Any]) -> "Recipe":
    """Recipe of the space's public benchmark with other fields; milestones are scaled to the number of epochs."""
    from training import Recipe
    from training.data import default_recipe

    default = default_recipe(space)
    if epochs is not None:
        if "epochs" in fields:
            raise InputError("recipe", f"epochs={fields['epochs']}", "nothing: --epochs is given")
        fields = {"epochs": epochs, **fields}
    number = fields.get("epochs")
    if isinstance(number, int) and "milestones" not in fields:
        scaled = {round(milestone * number / default.epochs) for milestone in default.milestones}
        fields = {**fields, "milestones": sorted(milestone for milestone in scaled if 0 < milestone < number)}
    return Recipe.parse({**default.to_json(), **fields})


def _probes(space: "BuildableSpace[Any]", proxies: str, probe_epochs: str, batch: dict[str, Any]) -> dict[str, Any]:
    """Fields of the specification about proxies."""
    from models.batch_spec import make_batch_spec
    from proxies import proxy_versions

    if proxies == "none":
        if batch:
            raise InputError("batch", batch, "nothing without --proxies")
        return {}
    return {
        "proxies": tuple(proxy_versions(proxy_option(proxies))),
        "probe_epochs": tuple(_numbers("probe-epochs", probe_epochs)),
        "batch": make_batch_spec(space.task, batch),
    }


def _sample(
    specification: "BuildSpecification",
    source: "DataSource",
    from_file: Path | None,
    study: str | None,
    strata: str | None,
    limits: dict[str, Any],
    ensembles_dir: Path | None,
) -> "tuple[Sample, int]":
    """Source of the architectures, and their default number."""
    from training.benchmark.sampling import GivenSample, RandomSample, SuggestedSample

    space = specification.space
    if from_file is None and study is None:
        shapes = None
        if limits["max_flops"] is not None:  # of one sample, or of the graph
            batch_size = None if specification.recipe.batch_size is None else 1
            shapes = next(source.load(space).batches("validation", batch_size, 0)).shapes
        limits = {name: int(value) if isinstance(value, float) else value for name, value in limits.items()}
        chosen = _numbers("strata", strata) if strata else []
        return RandomSample(space, specification.seed, chosen, **limits, shapes=shapes), 100
    if from_file is not None and study is not None:
        raise InputError("study", study, "nothing with --from")
    for name, value in {"strata": strata, **limits}.items():
        if value:
            raise InputError(name, value, "nothing with --from or --study: it is a limit of random architectures")
    if from_file is not None:
        from service.cli.study_files import read_architectures

        parsed = [_parse(space, data, f"{from_file.name}[{i}]") for i, data in enumerate(read_architectures(from_file))]
        return GivenSample(parsed, from_file.name), len(parsed)
    assert study is not None
    from service.cli.study_backends import find_study

    name, suggest = find_study(study, ensembles_dir)
    return SuggestedSample(lambda n: [_parse(space, item, name) for item in suggest(n, specification.seed)], name), 100


def _parse(space: "SearchSpace[Any]", data: Any, place: str) -> Any:
    try:
        return space.parse(data)
    except InputError as error:
        raise error.within(place) from error


def _numbers(field: str, text: str) -> list[int]:
    try:
        return [int(number) for number in text.split(",")]
    except ValueError as error:
        raise InputError(field, text, "whole numbers separated by commas") from error


def _budget(text: str | None) -> "Budget":
    from training.benchmark.building import Budget

    if text is None:
        return Budget()
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd]?)", text)
    if match is None or not float(match[1]) or not (match[2] or match[1].isdigit()):
        raise InputError("budget", text, "a number of trainings, or a duration such as 90s, 30m, 4h or 2d")
    if match[2]:
        seconds = float(match[1]) * UNITS[match[2]]
        if seconds > TIMEOUT_MAX:
            raise InputError("budget", text, f"at most {TIMEOUT_MAX:g} s")
        return Budget(seconds=seconds)
    return Budget(trainings=int(match[1]))
