"""Parts shared by the commands: the application, error messages, output, progress bars."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from common.processes import collect_rarely
from service.cli import streams

if TYPE_CHECKING:
    from service.settings import Settings


class Commands(TyperGroup):
    """Group of commands. Expected errors are one line on standard error and exit code 2; bugs are tracebacks."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """Prepare the standard streams, then run a command."""
        streams.prepare()
        collect_rarely()
        return super().main(*args, **kwargs)

    def invoke(self, ctx: Any) -> Any:
        """Run a command, and print its error in one line."""
        try:
            try:
                return super().invoke(ctx)
            finally:
                streams.flush()  # so that a full disk is reported
        except BrokenPipeError:  # the reader has closed its end
            raise
        except Exception as error:
            message = _message(error)
            if message is None:
                raise
            typer.echo(" ".join(message.split()), err=True)
            raise typer.Exit(2) from error


def _message(error: Exception) -> str | None:
    """Return the message of an expected error; None for a bug."""
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


HELP = "Predict how well graph-convolutional architectures perform, without training them."
app = typer.Typer(cls=Commands, help=HELP, no_args_is_help=True, pretty_exceptions_enable=False, add_completion=False)
benchmark_app = typer.Typer(help="Read and score benchmarks of trained architectures.", no_args_is_help=True)
app.add_typer(benchmark_app, name="benchmark")

Json = Annotated[bool, typer.Option("--json", help="print JSON instead of a table")]
Folder = Annotated[Path | None, typer.Option("--ensembles-dir", help="directory with one folder per fitted ensemble")]
Device = Annotated[str | None, typer.Option(help="auto, cpu or cuda")]


def settings(**options: Any) -> "Settings":
    """Return the settings of the environment, overridden by the options that are not None."""
    from service.settings import Settings

    return Settings(**{name: value for name, value in options.items() if value is not None})


def show(document: Any, as_json: bool, *tables: Callable[[Any], Any]) -> None:
    """Print a pydantic document as JSON or as tables."""
    if as_json:
        typer.echo(document.model_dump_json().encode())  # JSON is UTF-8, whatever the terminal's encoding
    else:
        from rich.console import Console

        Console().print(*(table(document) for table in tables), sep="\n")


@contextmanager
def progress_bar(description: str) -> Iterator[Callable[[int, int], None]]:
    """Show a progress bar on standard error; yields a function that is called with `done` and `total`."""
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(description, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
