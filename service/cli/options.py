"""Options that several commands share, and options of the form `KEY=VALUE`."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from models import SearchSpace

Space = Annotated[str | None, typer.Option(help="search space; `archrank spaces list` lists all")]
SettingFields = Annotated[
    list[str] | None,
    typer.Option("--setting", metavar="KEY=VALUE", help="setting of the search space; may be repeated"),
]
BatchFields = Annotated[
    list[str] | None,
    typer.Option("--batch", metavar="KEY=VALUE", help="field of the probe batch, e.g. seed=1; may be repeated"),
]
FixedFields = Annotated[
    list[str] | None,
    typer.Option("--fix", metavar="KEY=VALUE", help="property of all architectures, e.g. depth=6; may be repeated"),
]

Proxies = Annotated[str | None, typer.Option(help="all, or names separated by commas; by default the default proxies")]


def finite(value: float | None) -> float | None:
    """Refuse NaN and infinities, which pass as numbers: a callback of options."""
    if value is not None and not math.isfinite(value):
        raise typer.BadParameter(f"{value} is not a finite number")
    return value


def proxy_option(names: str) -> list[str]:
    """Return the names of the option `--proxies`: separated by commas, or `all`."""
    from proxies import proxy_names

    return proxy_names() if names == "all" else [name.strip() for name in names.split(",")]


def parse_fields(option: str, texts: Sequence[str] | None) -> dict[str, Any]:
    """Read repeated options of the form `KEY=VALUE`.

    Args:
        option: name of the option, for errors.
        texts: the options. A value that is JSON is read as such, any other is text.

    Returns:
        Values by key.

    Raises:
        InputError: a text has another form, or a key is repeated.
    """
    from common.errors import InputError

    fields: dict[str, Any] = {}
    for text in texts or ():
        key, separator, value = text.partition("=")
        if not (key and separator):
            raise InputError(option, text, "KEY=VALUE")
        if key in fields:
            raise InputError(option, text, f"each key once; {key} has the value {fields[key]!r}")
        fields[key] = _parse_value(value)
    return fields


def _parse_value(text: str) -> Any:
    from common.errors import InputError
    from common.strict_json import loads

    try:
        return loads(text.encode(errors="surrogateescape"), max_depth=8)
    except InputError:
        return text


def chosen_space(name: str | None, settings: Sequence[str] | None) -> "SearchSpace[Any] | None":
    """Return the space of the options `--space` and `--setting`; None if neither is given.

    Raises:
        InputError: the space or a setting is unknown, or a setting is given without a space.
    """
    from common.errors import InputError
    from models import get_space, space_names

    fields = parse_fields("setting", settings)
    if name is None:
        if fields:
            raise InputError("setting", fields, f"a setting of a space, --space {' or '.join(space_names())}")
        return None
    return get_space(name, **fields)


def default_space() -> "SearchSpace[Any]":
    """Return the space of benchmarks for which none is chosen: the first one, with its default settings."""
    from models import get_space, space_names

    return get_space(space_names()[0])
