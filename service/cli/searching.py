"""The command that searches: `archrank search`."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from service.cli.common import Device, Json, app, settings

if TYPE_CHECKING:
    from search import Strategy
    from search.log import TrialResult
    from service.cli.search_evaluators import Evaluator


LOG = "search.jsonl"
STOPPED = 130
"""Exit code after Ctrl-C, as shells have it."""


@app.command()
def search(
    strategy: Annotated[
        str, typer.Option(help="random, evolution, warm-up, move, local or pareto; docs/search.md compares them")
    ] = "warm-up",
    budget: Annotated[int, typer.Option(help="architectures to try; may be raised when the search goes on")] = 1000,
    space: Annotated[str, typer.Option(help="search space")] = "gcn-nas",
    depth: Annotated[int | None, typer.Option(help="only architectures of so many layers")] = None,
    max_flops: Annotated[float | None, typer.Option(help="most FLOPs of one pass of the probe batch, e.g. 4e9")] = None,
    max_params: Annotated[float | None, typer.Option(help="most parameters, e.g. 4e6")] = None,
    proxies: Annotated[
        str, typer.Option(help="none: predict from structure alone; all; or names, separated by commas")
    ] = "none",
    batch: Annotated[int, typer.Option(help="architectures that are asked for at a time")] = 16,
    population_size: Annotated[int | None, typer.Option(help="population of strategies that have one: 64")] = None,
    seed: Annotated[int, typer.Option(help="of all that is drawn")] = 0,
    out: Annotated[
        Path | None,
        typer.Option(show_default="runs/search-STRATEGY-SEED", help="folder; the search that is in it goes on"),
    ] = None,
    url: Annotated[
        str | None, typer.Option(help="have a server predict; its key is taken from ARCHRANK_KEY if it needs one")
    ] = None,
    ensemble: Annotated[str | None, typer.Option(help="which ensemble predicts; the default one if not given")] = None,
    combiner: Annotated[str | None, typer.Option(help="which of its combiners; its own choice if not given")] = None,
    as_json: Json = False,
    device: Device = None,
    ensembles_dir: Annotated[Path | None, typer.Option(help="folder that holds the ensembles")] = None,
) -> None:
    """Search for architectures with a high predicted accuracy, none of them trained.

    A folder gets every trial (trials.csv), the best and the front of accuracy against FLOPs (result.json), and a
    picture of both (front.svg).

    A search that was stopped goes on from there by the same command.
    """
    import json

    import numpy as np
    from rich.console import Console

    from common.atomic_files import check_new_file
    from common.errors import check_seed
    from search import SpaceMoves, get_strategy
    from search.log import SearchLog
    from search.run import check_options, run
    from service.cli import search_results

    kind, named = get_strategy(strategy), _names(proxies)
    most_flops, most_params = _limit("max_flops", max_flops), _limit("max_params", max_params)
    check_options(budget, batch)
    check_seed(seed)
    chosen = {} if population_size is None else {"pool": _pool(kind, population_size)}
    folder = out or Path("runs") / f"search-{strategy}-{seed}"
    for name in (LOG, *search_results.FILES):
        check_new_file(folder / name)
    with _judge(space, ensemble, combiner, named, url, device=device, ensembles_dir=ensembles_dir) as judge:
        moves = SpaceMoves(judge.space, depth, most_flops, most_params, judge.shape)
        header = {
            "strategy": strategy,
            "space": judge.space.name,
            "settings": judge.space.settings,
            "depth": depth,
            "max_flops": most_flops,
            "max_params": most_params,
            "ensemble": judge.identity,
            "combiner": combiner,
            "proxies": "all" if named is None else named,
            "seed": seed,
            "batch": batch,
            "pool": population_size,
        }
        try:
            with SearchLog.open(folder / LOG, header, judge.space) as log, _bar(strategy, budget) as told:
                searcher = kind(moves, np.random.default_rng(seed), judge.guide, **chosen)
                state = "done" if run(searcher, judge.evaluate, log, budget, batch, told) else "exhausted"
        except KeyboardInterrupt:
            state = "stopped"
        # Read anew, as an interruption may have come while it was written.
        with SearchLog.open(folder / LOG, header, judge.space) as log:
            result = search_results.write(folder, header, log, judge.space, budget=budget, state=state)
    if as_json:
        typer.echo(json.dumps(result))
    else:
        Console().print(search_results.table(result))
        for one in result["best"][:1]:
            typer.echo(f"#{one['trial']}: {json.dumps(one['architecture'])}")
        typer.echo(f"all of it is in {folder}: result.json, trials.csv, front.svg")
    if state == "exhausted":
        typer.echo(f"nothing new was found after {result['trials']} architectures", err=True)
    if state == "stopped":
        typer.echo(f"stopped after {result['trials']} of {budget}; the same command goes on from there", err=True)
        raise typer.Exit(STOPPED)


def _judge(
    space: str, ensemble: str | None, combiner: str | None, proxies: list[str] | None, url: str | None, **local: Any
) -> "AbstractContextManager[Evaluator]":
    """Who predicts; `local` are settings of those that do in this process."""
    from models import InputError
    from service.cli import search_evaluators as search_judges

    if url is None:
        return search_judges.in_process(settings(**local), space, ensemble, combiner, proxies)
    for name, value in local.items():
        if value is not None:
            raise InputError(name, str(value), "nothing with --url: the server has its own")
    return search_judges.over_http(url, space, ensemble, combiner, proxies)


def _names(proxies: str) -> list[str] | None:
    """Those to compute; None for all that the ensemble uses."""
    if proxies in ("all", "none"):
        return None if proxies == "all" else []
    return [name.strip() for name in proxies.split(",")]


def _pool(kind: "type[Strategy]", pool: int) -> int:
    """Raise `InputError` where the strategy has none, or it is too small to breed from."""
    import inspect

    from models import InputError

    if "pool" not in inspect.signature(kind).parameters:
        raise InputError("pool", pool, f"nothing: {kind.name} has no pool")
    if pool < 2:
        raise InputError("pool", pool, "at least 2")
    return pool


def _limit(field: str, value: float | None) -> int | None:
    """As a whole number: on the command line 2.5e9 is easier to read."""
    from models import InputError

    if value is not None and not 0 < value < float("inf"):
        raise InputError(field, value, "a number above 0")
    return None if value is None else int(value)


@contextmanager
def _bar(strategy: str, budget: int) -> "Iterator[Callable[[int, TrialResult | None], None]]":
    """A bar on standard error, with the best so far."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(strategy, total=budget)

        def told(done: int, best: "TrialResult | None") -> None:
            shown = "" if best is None else f", best so far {best.accuracy:.4f}"
            bar.update(task, completed=done, description=strategy + shown)

        yield told
