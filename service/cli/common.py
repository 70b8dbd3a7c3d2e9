"""What the commands share: the application, how errors end, a progress bar."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from service.cli import streams

if TYPE_CHECKING:
    from service.settings import Settings


class Commands(TyperGroup):
    """The commands: an error that is foreseen is one line on standard error and exit code 2, a bug is a traceback."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        streams.prepare()
        return super().main(*args, **kwargs)

    def invoke(self, ctx: Any) -> Any:
        try:
            try:
                return super().invoke(ctx)
            finally:
                streams.flush()  # so that a full disk is noticed
        except BrokenPipeError:  # whoever read has seen enough
            raise
        except Exception as error:
            line = _sentence(error)
            if line is None:
                raise
            typer.echo(" ".join(line.split()), err=True)
            raise typer.Exit(2) from error


def _sentence(error: Exception) -> str | None:
    """The sentence for an error that is not a bug; None for any other."""
    from pydantic import ValidationError
    from pydantic_settings import SettingsError

    from common.errors import ArchrankError
    from service.api.problems import problem

    match error:
        case OSError():
            return f"{error.filename or 'system'}: {error.strerror or error}"
        case ValidationError():
            return problem(error).detail
        case ArchrankError() | SettingsError():
            return str(error)
    return None


HELP = "Predicts how well graph-convolutional architectures will perform, without training them."
app = typer.Typer(cls=Commands, help=HELP, no_args_is_help=True, pretty_exceptions_enable=False, add_completion=False)
benchmark_app = typer.Typer(help="Benchmarks of trained architectures.", no_args_is_help=True)
app.add_typer(benchmark_app, name="benchmark")

Json = Annotated[bool, typer.Option("--json", help="print JSON instead of a table")]
Device = Annotated[str | None, typer.Option(help="auto, cpu or cuda")]


def settings(**given: Any) -> "Settings":
    """From the environment, except what the command line gives."""
    from service.settings import Settings

    return Settings(**{name: value for name, value in given.items() if value is not None})


def show(answer: Any, as_json: bool, *tables: Callable[[Any], Any]) -> None:
    """A pydantic document as JSON or as tables."""
    if as_json:
        typer.echo(answer.model_dump_json().encode())  # JSON is UTF-8, whatever the terminal takes
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
