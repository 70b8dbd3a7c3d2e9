"""Command `archrank search`."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from service.cli.common import Device, Json, app, settings
from service.cli.options import FixedFields, SettingFields, Space, parse_fields

if TYPE_CHECKING:
    from search import Strategy, TrialResult
    from search.loop import ProgressCallback
    from service.cli.search_evaluators import Evaluator
    from service.inference.queries import PredictionQuery


LOG = "search.jsonl"
INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells report it."""


@app.command()
def search(
    strategy: Annotated[
        str, typer.Option(help="random, evolution, warm-up, move, local or pareto; docs/search.md compares them")
    ] = "warm-up",
    budget: Annotated[int, typer.Option(help="number of trials; may be raised when a search is resumed")] = 1000,
    space: Space = None,
    setting: SettingFields = None,
    fix: FixedFields = None,
    max_flops: Annotated[
        float | None, typer.Option(help="maximum FLOPs per forward pass of the probe batch, e.g. 4e9")
    ] = None,
    max_params: Annotated[float | None, typer.Option(help="maximum number of parameters, e.g. 4e6")] = None,
    proxies: Annotated[
        str, typer.Option(help="none (predict from structure alone), all, or names separated by commas")
    ] = "none",
    batch_size: Annotated[int, typer.Option(help="architectures proposed and predicted at a time")] = 16,
    population_size: Annotated[
        int | None, typer.Option(help="population size, for strategies with a population; 64 if not given")
    ] = None,
    seed: Annotated[int, typer.Option(help="seed of the search")] = 0,
    out: Annotated[
        Path | None,
        typer.Option(show_default="runs/search-STRATEGY-SEED", help="output folder; a search in it is resumed"),
    ] = None,
    url: Annotated[str | None, typer.Option(help="server that predicts; its API key is read from ARCHRANK_KEY")] = None,
    ensemble: Annotated[str | None, typer.Option(help="ensemble that predicts; the default one if not given")] = None,
    combiner: Annotated[str | None, typer.Option(help="combiner; the ensemble's default if not given")] = None,
    as_json: Json = False,
    device: Device = None,
    ensembles_dir: Annotated[Path | None, typer.Option(help="folder of ensembles")] = None,
) -> None:
    """Search for architectures with a high predicted accuracy; none is trained.

    Writes all trials (trials.csv), the best trials and the Pareto front of accuracy against FLOPs (result.json), and a
    figure (search.svg).

    The same command resumes a search that was interrupted.
    """
    import json

    import numpy as np
    from rich.console import Console

    from common.atomic_files import check_new_file
    from common.errors import check_seed
    from search import SearchLog, SpaceDomain, get_strategy, run_search
    from search.loop import check_options
    from service.cli import search_results
    from service.inference.queries import PredictionQuery

    strategy_class, proxy_names = get_strategy(strategy), _proxy_names(proxies)
    fixed, space_settings = parse_fields("fix", fix), parse_fields("setting", setting)
    flops_limit, params_limit = _limit("max_flops", max_flops), _limit("max_params", max_params)
    check_options(budget, batch_size)
    check_seed(seed)
    options = {} if population_size is None else _population_option(strategy_class, population_size)
    folder = out or Path("runs") / f"search-{strategy}-{seed}"
    for name in (LOG, *search_results.FILES):
        check_new_file(folder / name)
    query = PredictionQuery(proxy_names, None, ensemble, combiner, False, space, space_settings or None)
    with _evaluator(query, url, device=device, ensembles_dir=ensembles_dir) as evaluator:
        domain = SpaceDomain(evaluator.space, fixed, flops_limit, params_limit, evaluator.shapes)
        header = {
            "strategy": strategy,
            "space": evaluator.space.name,
            "settings": evaluator.space.settings,
            "fixed": fixed,
            "max_flops": flops_limit,
            "max_params": params_limit,
            "ensemble": evaluator.identity,
            "combiner": combiner,
            "proxies": "all" if proxy_names is None else proxy_names,
            "seed": seed,
            "batch_size": batch_size,
            "population_size": population_size,
        }
        try:
            with (
                SearchLog.open(folder / LOG, header, evaluator.space) as log,
                _progress_bar(strategy, budget) as progress,
            ):
                searcher = strategy_class(domain, np.random.default_rng(seed), evaluator.surrogate, **options)
                finished = run_search(searcher, evaluator.evaluate, log, budget, batch_size, progress)
                state = "done" if finished else "exhausted"
        except KeyboardInterrupt:
            state = "interrupted"
        # Read the log again: the interrupt may have come during a write.
        with SearchLog.open(folder / LOG, header, evaluator.space) as log:
            result = search_results.write_results(folder, header, log, evaluator.space, budget=budget, state=state)
    if as_json:
        typer.echo(json.dumps(result))
    else:
        Console().print(search_results.best_trials(result))
        for trial in result["best"][:1]:
            typer.echo(f"#{trial['trial']}: {json.dumps(trial['architecture'])}")
        written = [name for name in reversed(search_results.FILES) if (folder / name).exists()]
        typer.echo(f"results in {folder}: {', '.join(written)}")
    if state == "exhausted":
        typer.echo(f"no new architecture found after {result['num_trials']} trials", err=True)
    if state == "interrupted":
        typer.echo(
            f"interrupted after {result['num_trials']} of {budget} trials; the same command resumes the search",
            err=True,
        )
        raise typer.Exit(INTERRUPTED)


def _evaluator(query: "PredictionQuery", url: str | None, **local_settings: Any) -> "AbstractContextManager[Evaluator]":
    """Evaluator in this process, or of the server at `url`, which takes no local settings."""
    from models import InputError
    from service.cli.search_evaluators import local_evaluator, remote_evaluator

    if url is None:
        return local_evaluator(settings(**local_settings), query)
    for name, value in local_settings.items():
        if value is not None:
            raise InputError(name, str(value), "nothing with --url: the server has its own")
    return remote_evaluator(url, query)


def _proxy_names(proxies: str) -> list[str] | None:
    """Names of the option `--proxies`; None for all that the ensemble uses."""
    if proxies in ("all", "none"):
        return None if proxies == "all" else []
    return [name.strip() for name in proxies.split(",")]


def _population_option(strategy: "type[Strategy]", population_size: int) -> dict[str, Any]:
    """Keyword argument of the strategy; raises `InputError` if it has no population, or this one is too small."""
    import inspect

    from models import InputError

    if "population_size" not in inspect.signature(strategy).parameters:
        raise InputError("population_size", population_size, f"nothing: {strategy.name} has no population")
    if population_size < 2:
        raise InputError("population_size", population_size, "at least 2")
    return {"population_size": population_size}


def _limit(field: str, value: float | None) -> int | None:
    """Limit as a whole number; the command line takes floats, as 2.5e9 is easier to read."""
    from models import InputError

    if value is not None and not 0 < value < float("inf"):
        raise InputError(field, value, "a number above 0")
    return None if value is None else int(value)


@contextmanager
def _progress_bar(strategy: str, budget: int) -> "Iterator[ProgressCallback]":
    """Progress bar on standard error, with the best accuracy so far."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(strategy, total=budget)

        def update(num_trials: int, best: "TrialResult | None") -> None:
            suffix = "" if best is None else f", best so far {best.accuracy:.4f}"
            bar.update(task, completed=num_trials, description=strategy + suffix)

        yield update
