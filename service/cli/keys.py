"""Commands that create, list and revoke API keys."""

from typing import Annotated, Any

import typer

from service.api_keys import NO_KEY_HINT
from service.cli.common import Json, app, settings

keys_app = typer.Typer(help="Manage API keys of the HTTP service.", no_args_is_help=True)
app.add_typer(keys_app, name="keys")


@keys_app.command()
def create(
    name: Annotated[str, typer.Option(help="name of the key's owner")],
    scope: Annotated[
        list[str] | None, typer.Option(help="predict or admin; may be repeated [default: predict]")
    ] = None,
    rate_limit: Annotated[int | None, typer.Option(help="requests a minute [default: the server's setting]")] = None,
    max_active_jobs: Annotated[int | None, typer.Option(help="unfinished jobs [default: the server's setting]")] = None,
    queue_share: Annotated[
        float | None, typer.Option(help="fraction of the queue, above 0 to 1 [default: the server's setting]")
    ] = None,
    as_setting: Annotated[
        bool, typer.Option("--settings", help="print an entry for ARCHRANK_KEYS instead of storing the key")
    ] = False,
) -> None:
    """Create an API key and print it, this once. Requests without a key are then refused, until `keys open`."""
    from service.api_keys import create_key
    from service.settings import KeyLimits
    from service.storage.opening import open_store

    limits = KeyLimits(rate_limit=rate_limit, max_active_jobs=max_active_jobs, queue_share=queue_share)
    key, entry = create_key(name, scope or ["predict"], limits)
    if as_setting:
        typer.echo(entry.model_dump_json(exclude_none=True))
    else:
        with open_store(settings()) as store:
            fields = entry.model_dump(mode="json", exclude_none=True)
            store.keys.add(**fields)
    typer.echo(key, err=as_setting)  # so that standard output, the entry alone, can be redirected to a file


@keys_app.command("list")
def list_keys(as_json: Json = False) -> None:
    """List the keys in the store, including revoked ones. The keys themselves are not stored, only their ids."""
    import json

    from rich.console import Console
    from rich.table import Column, Table

    from service.storage.opening import open_store

    with open_store(settings()) as store:
        keys, anonymous = store.keys.list(), store.keys.anonymous()
    rows: list[dict[str, Any]] = [
        {
            "id": key.id,
            "name": key.name,
            "scopes": sorted(key.scopes),
            "limits": key.limits,
            "created_at": key.created_at.isoformat(timespec="seconds"),
            "revoked_at": key.revoked_at and key.revoked_at.isoformat(timespec="seconds"),
        }
        for key in keys
    ]
    if as_json:
        typer.echo(json.dumps(rows))
        return
    caption = "requests without a key: " + ("accepted on a loopback address" if anonymous else "refused")
    columns = (Column(name, overflow="fold") for name in ("name", "scopes", "limits", "created", "revoked"))
    table = Table(Column("id", no_wrap=True), *columns, caption=caption)
    for row in rows:
        limits = ", ".join(f"{name} {limit:g}" for name, limit in row["limits"].items())
        table.add_row(
            row["id"], row["name"], ", ".join(row["scopes"]), limits, row["created_at"], row["revoked_at"] or ""
        )
    Console().print(table)


@keys_app.command()
def revoke(id: Annotated[str, typer.Argument(help="id of the key, as `keys list` prints it")]) -> None:  # noqa: A002
    """Revoke a key; running servers refuse it within five seconds. Its jobs go on."""
    from service.storage.opening import open_store

    with open_store(settings()) as store:
        key = store.keys.revoke(id)
        has_keys = any(key.revoked_at is None for key in store.keys.list())
    typer.echo(f"{key.id} ({key.name}) is revoked")
    if not has_keys:
        typer.echo(f"no key is in use any more; requests without a key are refused: {NO_KEY_HINT}")


@keys_app.command("open")
def open_to_all() -> None:
    """Accept requests without a key on a loopback address, until the next key is created. No key may be in use."""
    from common.errors import InputError
    from service.storage.opening import open_store

    server = settings()
    if server.keys:
        raise InputError("keys", [key.id for key in server.keys], "none: take them out of ARCHRANK_KEYS first")
    with open_store(server) as store:
        store.keys.open()
    typer.echo("a server on a loopback address accepts requests without a key; a running one within five seconds")
