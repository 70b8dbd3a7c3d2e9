"""Commands on search spaces."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import typer

from service.cli.common import Json, app

if TYPE_CHECKING:
    from rich.table import Table

spaces_app = typer.Typer(help="Show the search spaces, built in and of plug-ins.", no_args_is_help=True)
app.add_typer(spaces_app, name="spaces")


@spaces_app.command("list")
def list_spaces(as_json: Json = False) -> None:
    """List the search spaces: capabilities, origin, settings and their defaults."""
    import json

    from rich.console import Console

    from models import capabilities, get_space
    from models.registry import space_infos

    spaces = [
        {
            "name": info.name,
            "capabilities": capabilities(info.kind),
            "origin": info.origin,
            "settings": get_space(info.name).settings,
        }
        for info in space_infos()
    ]
    if as_json:
        typer.echo(json.dumps(spaces))
    else:
        Console().print(_table(spaces))


def _table(spaces: "Sequence[dict[str, Any]]") -> "Table":
    from rich import box
    from rich.table import Column, Table

    columns = (Column(name, overflow="fold") for name in ("capabilities", "origin", "settings"))
    table = Table(Column("space", no_wrap=True), *columns, box=box.SIMPLE, padding=(0, 1, 0, 0))
    for space in spaces:
        settings = ", ".join(f"{name}={value}" for name, value in space["settings"].items())
        table.add_row(space["name"], ", ".join(space["capabilities"]), space["origin"], settings)
    return table
