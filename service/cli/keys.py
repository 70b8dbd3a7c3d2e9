"""Commands that make API keys and take them back."""

from typing import Annotated, Any

import typer

from service.api_keys import NO_KEY
from service.cli.common import Json, app, settings

keys_app = typer.Typer(help="API keys of the HTTP service.", no_args_is_help=True)
app.add_typer(keys_app, name="keys")


@keys_app.command()
def create(
    name: Annotated[str, typer.Option(help="whose it is")],
    scope: Annotated[list[str] | None, typer.Option(help="predict, admin; may come twice [default: predict]")] = None,
    rate: Annotated[int | None, typer.Option(help="requests a minute; the server's setting if not given")] = None,
    jobs: Annotated[int | None, typer.Option(help="unfinished jobs at a time, likewise")] = None,
    share: Annotated[float | None, typer.Option(help="part of the queue it may fill, above 0 to 1, likewise")] = None,
    for_settings: Annotated[
        bool, typer.Option("--settings", help="print an entry for ARCHRANK_KEYS, and store nothing")
    ] = False,
) -> None:
    """Make a key, and show it: this once. From now on requests without a key are refused, until `open`."""
    from service.api_keys import Allowance, new_key
    from service.app import open_store

    key, entry = new_key(name, scope or ["predict"], Allowance(rate=rate, jobs=jobs, share=share))
    if for_settings:
        typer.echo(entry.model_dump_json(exclude_none=True))
    else:
        with open_store(settings()) as store:
            kept = entry.model_dump(mode="json", exclude_none=True)
            store.keys.add(prefix=f"ark_{entry.id}", **kept)
    typer.echo(key, err=for_settings)  # so that the entry can go into a file


@keys_app.command("list")
def list_keys(as_json: Json = False) -> None:
    """Show the store's keys, revoked ones too; of a key only its id is known."""
    import json

    from rich.console import Console
    from rich.table import Column, Table

    from service.app import open_store

    with open_store(settings()) as store:
        keys, anonymous = store.keys.list(), store.keys.anonymous()
    facts: list[dict[str, Any]] = [
        {
            "id": key.id,
            "name": key.name,
            "scopes": sorted(key.scopes),
            "limits": key.limits,
            "created": key.created_at.isoformat(timespec="seconds"),
            "revoked": key.revoked_at and key.revoked_at.isoformat(timespec="seconds"),
        }
        for key in keys
    ]
    if as_json:
        typer.echo(json.dumps(facts))
        return
    caption = "requests without a key: " + ("answered, on a loopback address" if anonymous else "refused")
    columns = (Column(name, overflow="fold") for name in ("name", "scopes", "limits", "created", "revoked"))
    table = Table(Column("id", no_wrap=True), *columns, caption=caption)
    for fact in facts:
        limits = ", ".join(f"{name} {limit:g}" for name, limit in fact["limits"].items())
        table.add_row(
            fact["id"], fact["name"], ", ".join(fact["scopes"]), limits, fact["created"], fact["revoked"] or ""
        )
    Console().print(table)


@keys_app.command()
def revoke(id: Annotated[str, typer.Argument(help="of the key, as `list` shows it")]) -> None:  # noqa: A002
    """Make a key useless, within five seconds also where a server runs. Its jobs go on."""
    from service.app import open_store

    with open_store(settings()) as store:
        key = store.keys.revoke(id)
        left = any(one.revoked_at is None for one in store.keys.list())
    typer.echo(f"{key.id} ({key.name}) is revoked")
    if not left:
        typer.echo(f"the store has no key in use any more; requests without a key are refused: {NO_KEY}")


@keys_app.command("open")
def open_to_all() -> None:
    """Answer requests without a key, on a loopback address, until the next key is made. No key may be in use."""
    from common.errors import InputError
    from service.app import open_store

    given = settings()
    if given.keys:
        raise InputError("keys", [key.id for key in given.keys], "none: take them out of ARCHRANK_KEYS first")
    with open_store(given) as store:
        store.keys.open()
    typer.echo("a server on a loopback address answers whoever asks, within five seconds also where it runs")
