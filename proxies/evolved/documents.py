"""JSON documents of evolved proxies, and the folder that they are loaded from."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from common.documents import check_fields
from common.errors import InputError
from common.files import read_json
from common.plugins import load_plugins, refuse_plugin
from proxies.base import Proxy
from proxies.evolved.expression import parse_expression
from proxies.evolved.proxy import PREFIX, EvolvedProxy, readable_proxies, terminal_types
from proxies.registry import EVOLVED_DIR, EVOLVED_ENTRY_POINTS

NAME_PATTERN = r"^[a-z0-9][a-z0-9_-]{0,63}$"


class EvolvedDocument(BaseModel):
    """Evolved proxy as JSON."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, Field(pattern=NAME_PATTERN)]
    expression: Any
    hash: Annotated[str | None, Field(pattern=r"^[0-9a-f]{64}$")] = None
    source: Annotated[str, Field(max_length=1000)] = "archrank evolve"


def load_document(path: Path, proxies: Mapping[str, Proxy]) -> EvolvedProxy:
    """Read an evolved proxy from a JSON file.

    Args:
        path: the file.
        proxies: registered proxies by name.

    Raises:
        InputError: the file is missing or malformed.
    """
    return parse_document(read_json(path, path.name), proxies, path.name)


def parse_document(obj: Any, proxies: Mapping[str, Proxy], place: str = "document") -> EvolvedProxy:
    """Read an evolved proxy from JSON.

    Args:
        obj: fields of an `EvolvedDocument`.
        proxies: registered proxies by name.
        place: location of the document in errors.

    Raises:
        InputError: a field is malformed, or the hash is not that of the expression and the installed proxies.
    """
    document = check_fields(EvolvedDocument, obj, place)
    readable = readable_proxies(proxies)
    expression = parse_expression(document.expression, terminal_types(readable), f"{place}, expression")
    proxy = EvolvedProxy(document.name, expression, readable, document.source)
    if document.hash not in (None, proxy.hash):
        allowed = f"{proxy.hash}, of the expression with the installed versions of the proxies that it reads"
        raise InputError(f"{place}, hash", document.hash, allowed)
    return proxy


def evolved_proxies(proxies: Mapping[str, Proxy]) -> dict[str, EvolvedProxy]:
    """Return evolved proxies by name: of entry points, then of the folder that `ARCHRANK_EVOLVED_DIR` names.

    One that is malformed, or whose name is taken, is left out with a `PluginWarning` that names it.

    Args:
        proxies: registered proxies by name.

    Raises:
        InputError: the variable names no folder.
    """
    found: dict[str, EvolvedProxy] = {}
    for plugin in load_plugins(EVOLVED_ENTRY_POINTS, []):
        _add(found, plugin.value, plugin.name, plugin.origin, EVOLVED_ENTRY_POINTS, proxies)
    folder = os.environ.get(EVOLVED_DIR)
    if folder:
        if not Path(folder).is_dir():
            raise InputError(EVOLVED_DIR, folder, "an existing folder")
        for path in sorted(Path(folder).glob("[!.]*.json")):
            _add(found, path, path.name, folder, EVOLVED_DIR, proxies)
    return found


def _add(
    found: dict[str, EvolvedProxy], value: Any, name: str, origin: str, group: str, proxies: Mapping[str, Proxy]
) -> None:
    try:
        proxy = load_document(value, proxies) if isinstance(value, Path) else parse_document(value, proxies, name)
    except (InputError, OSError) as error:
        refuse_plugin(group, name, origin, str(error))
        return
    if proxy.info.name in found:
        refuse_plugin(group, name, origin, f"there is another one named {proxy.info.name.removeprefix(PREFIX)}")
    else:
        found[proxy.info.name] = proxy
