"""Command `archrank search`."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from common.errors import InputError
from service.cli.common import Device, Json, app, settings
from service.cli.options import FixedFields, SettingFields, Space, finite, parse_fields, proxy_option

if TYPE_CHECKING:
    from search import Strategy
    from service.cli.search_evaluators import Evaluator
    from service.inference.queries import PredictionQuery


LOG = "search.jsonl"
INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells report it."""


@app.command()
def search(
    strategy: Annotated[
        str | None,
        typer.Option(
            help="random, evolution, warm-up, move, local or pareto; with --objective also study or robot; "
            "docs/search.md compares them",
            show_default="warm-up; with --objective study",
        ),
    ] = None,
    budget: Annotated[
        int | None,
        typer.Option(
            help="number of trials; may be raised when a search is resumed", show_default="1000; with --objective 100"
        ),
    ] = None,
    objective: Annotated[
        str | None,
        typer.Option(
            help="train each architecture: command:'./train.sh {architecture}', whose last line of output is the "
            "metric, or python:package.module:function"
        ),
    ] = None,
    slots: Annotated[int | None, typer.Option(help="trainings at a time", show_default="1")] = None,
    timeout: Annotated[
        float | None, typer.Option(callback=finite, help="time limit of one training in seconds")
    ] = None,
    metric: Annotated[str | None, typer.Option(help="name of the metric", show_default="accuracy")] = None,
    direction: Annotated[str | None, typer.Option(help="maximize or minimize", show_default="maximize")] = None,
    unit: Annotated[
        str | None, typer.Option(help="fraction (0 to 1), percent or number", show_default="fraction")
    ] = None,
    task: Annotated[str | None, typer.Option(help="name of the task or data set, for the study")] = None,
    sources: Annotated[
        list[str] | None,
        typer.Option("--source", help="ensemble of another task; may be repeated", show_default="all of the space"),
    ] = None,
    no_sources: Annotated[bool, typer.Option("--no-sources", help="learn from the trainings alone")] = False,
    num_candidates: Annotated[
        int | None, typer.Option(help="candidates whose proxies robot computes", show_default="200")
    ] = None,
    space: Space = None,
    setting: SettingFields = None,
    fix: FixedFields = None,
    max_flops: Annotated[
        float | None, typer.Option(help="maximum FLOPs per forward pass of the probe batch, e.g. 4e9")
    ] = None,
    max_params: Annotated[
        float | None, typer.Option(callback=finite, help="maximum number of parameters, e.g. 4e6")
    ] = None,
    proxies: Annotated[
        str, typer.Option(help="none (predict from structure alone), all, or names separated by commas")
    ] = "none",
    batch_size: Annotated[
        int | None, typer.Option(help="architectures proposed and predicted at a time", show_default="16")
    ] = None,
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
    """Search for architectures with a high predicted accuracy, or, with --objective, train them.

    Writes all trials (trials.csv), the best trials and the Pareto front of accuracy against FLOPs (result.json), and a
    figure (search.svg).

    The same command resumes a search that was interrupted.
    """
    import json

    from rich.console import Console

    from common.errors import check_seed
    from search import get_strategy
    from service.cli import search_results, search_training_results

    predicting = {"batch_size": batch_size, "url": url, "ensemble": ensemble, "combiner": combiner, "device": device}
    training = {
        "slots": slots,
        "timeout": timeout,
        "metric": metric,
        "direction": direction,
        "unit": unit,
        "task": task,
        "source": sources or None,
        "no_sources": no_sources or None,
        "num_candidates": num_candidates,
    }
    if objective is None:
        _refuse(training, "an option of --objective alone")
    else:
        _refuse(predicting, "nothing with --objective: architectures are trained, not predicted")
    strategy = strategy or ("warm-up" if objective is None else "study")
    strategy_class = get_strategy(strategy)
    if strategy_class.needs_training and objective is None:
        raise InputError("strategy", strategy, "a strategy that predictions are enough for, or --objective")
    check_seed(seed)
    common: dict[str, Any] = {
        "strategy": strategy,
        "budget": (1000 if objective is None else 100) if budget is None else budget,
        "fixed": parse_fields("fix", fix),
        "max_flops": _limit("max_flops", max_flops),
        "max_params": _limit("max_params", max_params),
        "strategy_options": {} if population_size is None else _population_option(strategy_class, population_size),
        "seed": seed,
    }
    folder, proxy_names = out or Path("runs") / f"search-{strategy}-{seed}", _proxy_names(proxies)
    if objective is None:
        from service.inference.queries import PredictionQuery

        query = PredictionQuery(
            proxy_names, None, ensemble, combiner, False, space, parse_fields("setting", setting) or None
        )
        evaluator = _evaluator(query, url, device=device, ensembles_dir=ensembles_dir)
        result = _search_by_predicting(folder, query, evaluator, 16 if batch_size is None else batch_size, **common)
        table, files = search_results.best_trials(result), search_results.FILES
    else:
        if strategy != "robot" and proxies != "none":
            raise InputError("proxies", proxies, "none with --objective, but for the strategy robot")
        if strategy == "robot" and proxies == "none":
            raise InputError("proxies", proxies, "all, or names separated by commas, which robot needs")
        if strategy != "robot" and num_candidates is not None:
            raise InputError("num_candidates", num_candidates, "an option of the strategy robot alone")
        if no_sources and sources:
            raise InputError("source", sources[0], "nothing with --no-sources")
        result = _search_by_training(
            folder,
            objective=objective,
            slots=1 if slots is None else slots,
            timeout=timeout,
            space=space,
            settings=parse_fields("setting", setting),
            proxies=proxy_option(proxies) if strategy == "robot" else [],
            num_candidates=200 if num_candidates is None else num_candidates,
            metric={"name": metric, "direction": direction, "unit": unit},
            task=task or "",
            sources=[] if no_sources else sources,
            ensembles_dir=ensembles_dir,
            **common,
        )
        table, files = search_training_results.best_trainings(result), search_training_results.FILES
    if as_json:
        typer.echo(json.dumps(result))
    else:
        Console().print(table)
        if result.get("last_error"):
            typer.echo(
                f"{result['num_failed']} of {result['num_trials']} trainings failed, the last: {result['last_error']}",
                err=True,
            )
        for trial in result["best"][:1]:
            typer.echo(f"#{trial['trial']}: {json.dumps(trial['architecture'])}")
        written = [name for name in reversed(files) if (folder / name).exists()]
        typer.echo(f"results in {folder}: {', '.join(written)}")
    if result["state"] == "exhausted":
        typer.echo(f"no new architecture found after {result['num_trials']} trials", err=True)
    if result["state"] == "interrupted":
        typer.echo(
            f"interrupted after {result['num_trials']} of {result['budget']} trials; "
            "the same command resumes the search",
            err=True,
        )
        raise typer.Exit(INTERRUPTED)


def _refuse(options: dict[str, Any], allowed: str) -> None:
    """Raise `InputError` for the first option that is given."""
    for name, value in options.items():
        if value is not None:
            raise InputError(name, value, allowed)


def _search_by_predicting(
    folder: Path,
    query: "PredictionQuery",
    evaluator: "AbstractContextManager[Evaluator]",
    batch_size: int,
    *,
    strategy: str,
    budget: int,
    fixed: dict[str, Any],
    max_flops: int | None,
    max_params: int | None,
    strategy_options: dict[str, Any],
    seed: int,
) -> dict[str, Any]:
    """Search by predictions, and return the content of `result.json`."""
    import numpy as np

    from common.atomic_files import check_new_file
    from search import SearchLog, SpaceDomain, get_strategy, run_search
    from search.loop import check_options
    from service.cli import search_results

    check_options(budget, batch_size)
    for name in (LOG, *search_results.FILES):
        check_new_file(folder / name)
    with evaluator as predictor:
        domain = SpaceDomain(predictor.space, fixed, max_flops, max_params, predictor.shapes)
        header = {
            "strategy": strategy,
            "space": predictor.space.name,
            "settings": predictor.space.settings,
            "fixed": fixed,
            "max_flops": max_flops,
            "max_params": max_params,
            "ensemble": predictor.identity,
            "combiner": query.combiner,
            "proxies": "all" if query.proxies is None else query.proxies,
            "seed": seed,
            "batch_size": batch_size,
            "population_size": strategy_options.get("population_size"),
        }
        rng = np.random.default_rng(seed)
        try:
            with (
                SearchLog.open(folder / LOG, header, predictor.space) as log,
                _progress_bar(strategy, budget) as progress,
            ):
                searcher = get_strategy(strategy)(domain, rng, predictor.surrogate, **strategy_options)
                finished = run_search(searcher, predictor.evaluate, log, budget, batch_size, progress)
                state = "done" if finished else "exhausted"
        except KeyboardInterrupt:
            state = "interrupted"
        # Read the log again: the interrupt may have come during a write.
        with SearchLog.open(folder / LOG, header, predictor.space) as log:
            return search_results.write_results(folder, header, log, predictor.space, budget=budget, state=state)


def _search_by_training(
    folder: Path, *, metric: dict[str, str | None], ensembles_dir: Path | None, **options: Any
) -> dict[str, Any]:
    """Search by trainings, and return the content of `result.json`."""
    from service.cli.search_training import Options, search_by_training
    from study import StudyMetric

    chosen = {name: value for name, value in metric.items() if value is not None}
    directory = settings(ensembles_dir=ensembles_dir).ensembles_dir
    options |= {"metric": StudyMetric(**chosen), "ensembles_dir": directory}  # type: ignore[arg-type]
    with _progress_bar(options["strategy"], options["budget"]) as progress:
        return search_by_training(Options(**options), folder, progress)


def _evaluator(query: "PredictionQuery", url: str | None, **local_settings: Any) -> "AbstractContextManager[Evaluator]":
    """Evaluator in this process, or of the server at `url`, which takes no local settings."""
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
    return proxy_option(proxies)


def _population_option(strategy: "type[Strategy]", population_size: int) -> dict[str, Any]:
    """Keyword argument of the strategy; raises `InputError` if it has no population, or this one is too small."""
    import inspect

    if "population_size" not in inspect.signature(strategy).parameters:
        raise InputError("population_size", population_size, f"nothing: {strategy.name} has no population")
    if population_size < 2:
        raise InputError("population_size", population_size, "at least 2")
    return {"population_size": population_size}


def _limit(field: str, value: float | None) -> int | None:
    """Limit as a whole number; the command line takes floats, as 2.5e9 is easier to read."""
    if value is not None and not 0 < value < float("inf"):
        raise InputError(field, value, "a number above 0")
    return None if value is None else int(value)


@contextmanager
def _progress_bar(strategy: str, budget: int) -> Iterator[Callable[[int, Any], None]]:
    """Progress bar on standard error, with the best accuracy or value so far."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(strategy, total=budget)

        def update(num_trials: int, best: Any) -> None:
            value = getattr(best, "accuracy", best)
            suffix = "" if value is None else f", best so far {value:.4f}"
            bar.update(task, completed=num_trials, description=strategy + suffix)

        yield update
