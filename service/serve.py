"""`archrank serve`: load, take a port, say where, answer until told to stop."""

import contextlib
import gc
import socket
from collections.abc import Callable

import uvicorn

from models.errors import InputError
from service.access import is_loopback
from service.app import create_app, open_store
from service.library import Library
from service.protocol import LimitedProtocol
from service.settings import Settings

PATIENCE = 10
"""Seconds that requests may still take after the server was told to stop."""
KEEP_ALIVE = 75
"""Seconds after which an idle connection is closed: longer than most clients keep one, lest it close on them."""


def serve(settings: Settings, say: Callable[[str], None]) -> None:
    """Serve until a signal.

    Raises `InputError` where the address cannot be had, or others could reach it without a key; what opening the store
    and `Library.load` raise.
    """
    check_host(settings)
    app = create_app(settings, Library.load(settings))
    gc.freeze()  # what is loaded stays: to look through all of it for garbage would hold up requests
    config = uvicorn.Config(
        app,
        http=LimitedProtocol,
        ws="none",
        access_log=False,
        timeout_graceful_shutdown=PATIENCE,
        timeout_keep_alive=KEEP_ALIVE,
    )
    with _listen(settings.host, settings.port) as listener, contextlib.suppress(KeyboardInterrupt):
        host, port = listener.getsockname()[:2]
        say(f"archrank answers on http://{f'[{host}]' if ':' in host else host}:{port}")
        uvicorn.Server(config).run(sockets=[listener])


def check_host(settings: Settings) -> None:
    """Raise `InputError` where other machines could reach a server that asks nobody for a key."""
    if is_loopback(settings.host) or settings.keys:
        return
    with open_store(settings) as store:
        if all(key.revoked for key in store.keys.list()):
            raise InputError("host", settings.host, "a loopback address without any API key: `archrank keys create`")


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as error:
        raise InputError("host, port", f"{host}, {port}", f"a free address of this machine ({error})") from error
