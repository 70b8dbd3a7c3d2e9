"""Progress and tables of `archrank benchmark build`."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from rich.console import Console
from rich.markdown import Markdown
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from service.cli.tables import number_table
from training.benchmark.pool import EpochEnded, Event, TrainingEnded
from training.benchmark.progress import BuildProgress, ProgressCallback
from training.benchmark.report import noise_lines, number_text


@contextmanager
def shown() -> Iterator[ProgressCallback]:
    """Show progress on standard error: a bar of epochs in a terminal, else a line after each training."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda progress, event: _print_line(console, progress, event)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("epochs"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True, speed_estimate_period=3600) as bar:
        task = bar.add_task("loading the data", total=None)

        def update(progress: BuildProgress, event: Event) -> None:
            done = f"{progress.num_ended} of {progress.num_trainings} trainings"
            failed = f", {progress.num_failed} failed" if progress.num_failed else ""
            bar.update(task, completed=progress.epochs_done, total=progress.total_epochs, description=done + failed)

        yield update


def _print_line(console: Console, progress: BuildProgress, event: Event) -> None:
    match event:
        case TrainingEnded(training, result):
            outcome = result.error if result.accuracy is None else f"{result.accuracy:.4f}"
            left = progress.remaining_seconds
            remaining = "" if left is None else f", {timedelta(seconds=round(left))} left"
            console.print(
                f"{progress.num_ended} of {progress.num_trainings} trainings{remaining}: {training.name} {outcome}",
                highlight=False,
                soft_wrap=True,
            )
        case EpochEnded():
            pass


def tables(report: Mapping[str, Any]) -> list[Table | Markdown]:
    """Return the accuracies by stratum and the training noise of a report."""
    table = number_table(
        report["stratum_label"] or "stratum", "n", f"mean {report['metric']}", "std", "lowest", "highest"
    )
    for name, row in [*report["accuracy_by_stratum"].items(), ("all", report["accuracy"])]:
        if row is not None:
            table.add_row(name, str(row["n"]), *(number_text(row[field]) for field in ("mean", "std", "min", "max")))
    trainings = report["trainings"]
    table.caption_justify = "left"
    table.caption = f"{trainings['succeeded']} of {trainings['planned']} trainings"
    if trainings["failed"]:
        table.caption += "; failed: " + ", ".join(f"{n} {error}" for error, n in trainings["failed"].items())
    return [table, Markdown("\n".join(noise_lines(report)))]
