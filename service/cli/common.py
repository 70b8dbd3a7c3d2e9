"""What the commands share: the application, how errors end, a progress bar."""

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any, ParamSpec, TypeVar

import typer

if TYPE_CHECKING:
    from service.settings import Settings

P = ParamSpec("P")
R = TypeVar("R")
HELP = "Predicts how well graph-convolutional architectures will perform, without training them."
app = typer.Typer(help=HELP, no_args_is_help=True, pretty_exceptions_enable=False, add_completion=False)
benchmark_app = typer.Typer(help="Benchmarks of trained architectures.", no_args_is_help=True)
app.add_typer(benchmark_app, name="benchmark")

Json = Annotated[bool, typer.Option("--json", help="print JSON instead of a table")]
Device = Annotated[str | None, typer.Option(help="auto, cpu or cuda")]


def one_line_errors(command: Callable[P, R]) -> Callable[P, R]:
    """Bad input ends in one line on standard error and exit code 2."""

    @functools.wraps(command)
    def careful(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return command(*args, **kwargs)
        except Exception as error:
            from pydantic import ValidationError
            from pydantic_settings import SettingsError

            from models.errors import ArchrankError
            from service.errors import problem

            if isinstance(error, OSError):
                line = f"{error.filename or 'system'}: {error.strerror or error}"
            elif isinstance(error, ValidationError):
                line = problem(error).detail
            elif isinstance(error, ArchrankError | SettingsError):
                line = str(error)
            else:
                raise
            typer.echo(" ".join(line.split()), err=True)
            raise typer.Exit(2) from error

    return careful


def settings(**given: Any) -> "Settings":
    """From the environment, except what the command line gives."""
    from service.settings import Settings

    return Settings(**{name: value for name, value in given.items() if value is not None})


def show(answer: Any, as_json: bool, *tables: Callable[[Any], Any]) -> None:
    """A pydantic document as JSON or as tables."""
    if as_json:
        typer.echo(answer.model_dump_json())
    else:
        from rich.console import Console

        Console().print(*(table(answer) for table in tables), sep="\n")


@contextmanager
def progress_bar(what: str) -> Iterator[Callable[[int, int], None]]:
    """A bar on standard error, for callers that report how many are done of how many."""
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
