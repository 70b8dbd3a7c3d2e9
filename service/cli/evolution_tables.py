"""Progress and tables of `archrank evolve`."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from service.cli.tables import number_table

if TYPE_CHECKING:
    from evolution import EvolutionSettings
    from evolution.evolving import Progress as EvolutionProgress

TITLES = {
    "within_stratum_spearman": "within stratum",
    "spearman": "ρ",
    "kendall": "τ",
    "stratified_kendall": "τ, stratified",
}
WARNING = (
    "Selected by the order of all architectures: where accuracy grows with size, such an expression counts layers. "
    "The column `within stratum` shows what is left of it."
)


@contextmanager
def shown(settings: "EvolutionSettings") -> "Iterator[EvolutionProgress]":
    """Show progress on standard error: generations of all runs, and the best expression of the current one."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        generations = settings.generations + 1
        task = bar.add_task("evolving", total=generations * (2 * settings.folds + 1))
        done: dict[str, int] = {}

        def update(run: str, generation: int, fitness: float, expression: str) -> None:
            done[run] = generation + 1
            text = f"{run}, generation {generation}: {fitness:.3f} {expression[:60]}"
            bar.update(task, completed=sum(done.values()), description=text)
            if not console.is_terminal and generation == settings.generations:
                console.print(text, highlight=False, markup=False, soft_wrap=True)

        yield update


@contextmanager
def measuring(name: str) -> Iterator[Callable[[str, int, int], None]]:
    """Show the progress of measuring a benchmark's networks on standard error."""
    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(name, total=None)
        yield lambda what, done, total: bar.update(task, completed=done, total=total, description=f"{name}: {what}")


def evolution_tables(report: Mapping[str, Any]) -> list[Table | str]:
    """Return the tables of a report: held-out qualities, the front, the formula.

    Args:
        report: the document of an `EvolutionReport`, with the formula.
    """
    parts: list[Table | str] = [_qualities(report), *map(_sentence, report["held_out"], report["held_out"].values())]
    front = number_table("expressions up to a size, held out", *TITLES.values())
    for point in report["front"]:
        front.add_row(str(point["size"]), *_numbers(point))
    if report["settings"]["objective"] == "overall":
        parts.append(WARNING)
    return [*parts, front, report["formula"]["words"]]


def _qualities(report: Mapping[str, Any]) -> Table:
    folds = report["settings"]["folds"]
    table = number_table(f"held out, mean of {folds} folds", *TITLES.values())
    for name, evidence in report["held_out"].items():
        table.add_row(f"{name}, evolved", *_numbers(evidence["evolved"]))
        table.add_row(f"{name}, hand-written", *_numbers(evidence["hand_written"]))
        if name in report["shuffled"]:
            table.add_row(f"{name}, shuffled labels", *_numbers(report["shuffled"][name]))
    return table


def _sentence(name: str, evidence: Mapping[str, Any]) -> str:
    difference = evidence["difference"]["within_stratum_spearman"]
    if difference is None:
        return f"{name}: no difference within the strata is defined."
    verdict = "more" if difference["is_significant"] else "not more"
    return (
        f"{name}: evolved less hand-written, within the strata, {difference['mean']:+.3f} ± "
        f"{difference['standard_error']:.3f}: {verdict} than two standard errors better."
    )


def _numbers(quality: Mapping[str, float | None]) -> list[str]:
    return ["–" if quality[name] is None else f"{quality[name]:.3f}" for name in TITLES]
