"""`archrank serve`: load, take a port, answer, say where, go on until told to stop."""

import contextlib
import gc
import logging
import math
import signal
import socket
from collections.abc import Callable
from time import monotonic
from types import FrameType

import uvicorn

from common.errors import InputError
from proxies.memory import share_memory
from service.api.authentication import is_loopback
from service.api.shutdown import ShutdownState
from service.api_keys import NO_KEY
from service.app import create_app, open_store, store_url
from service.inference.registry import EnsembleRegistry
from service.observability import logs
from service.server.protocol import LimitedProtocol
from service.settings import Settings
from service.storage import Store
from service.storage.single_instance_lock import alone

log = logging.getLogger(__name__)
AGAIN = 0.5
"""Seconds within which a second signal is the first once more: some senders tell a process and then its group."""
KEEP_ALIVE = 75
"""Seconds after which an idle connection is closed: longer than most clients keep one, lest it close on them."""


class Server(uvicorn.Server):
    """Leaves in steps: not ready any more; then no new connections, and what runs is finished; then the application's
    own end.

    Args:
        config: of uvicorn.
        leaving: what routes go by.
        delay: the first step, for those who send requests to hear of it.
        answers: called once it answers.
    """

    def __init__(
        self, config: uvicorn.Config, leaving: ShutdownState, delay: float, answers: Callable[[], None]
    ) -> None:
        super().__init__(config)
        self._leaving, self._delay, self._answers = leaving, delay, answers
        self._told = math.inf

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._answers()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if not self._leaving.draining:
            self._leaving.draining, self._told = True, monotonic()
            self._captured_signals.append(sig)
        elif monotonic() > self._told + AGAIN:  # nothing is lost by that: the store has what is done
            signal.signal(sig, signal.SIG_DFL)
            signal.raise_signal(sig)

    async def on_tick(self, counter: int) -> bool:
        self.should_exit = monotonic() >= self._told + self._delay
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._leaving.closed_at = monotonic()
        await super().shutdown(sockets)


def serve(settings: Settings, say: Callable[[str], None]) -> None:
    """Serve until a signal.

    Raises `StoreInUseError` where another server works on the same SQLite file, `InputError` where the address cannot
    be had, or others could reach it without a key; what opening the store and `EnsembleRegistry.load` raise.
    """
    check_host(settings)
    logs.setup(settings.log_format, settings.log_level)
    with alone(store_url(settings)), open_store(settings) as store:
        if not (settings.keys or store.keys.anonymous() or any(key.revoked is None for key in store.keys.list())):
            log.warning("every request is refused, as no API key is in use: %s", NO_KEY)
        _serve(settings, store, say)


def _serve(settings: Settings, store: Store, say: Callable[[str], None]) -> None:
    share_memory()
    app = create_app(settings, EnsembleRegistry.load(settings), store)
    gc.freeze()  # what is loaded stays: to look through all of it for garbage would hold up requests
    config = uvicorn.Config(
        app,
        http=LimitedProtocol,
        ws="none",
        root_path=settings.root_path,
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=math.ceil(settings.shutdown_timeout),
        timeout_keep_alive=KEEP_ALIVE,
    )
    with _listen(settings.host, settings.port) as listener, contextlib.suppress(KeyboardInterrupt):
        host, port = listener.getsockname()[:2]
        url = f"http://{f'[{host}]' if ':' in host else host}:{port}"
        server = Server(config, app.state.shutdown, settings.shutdown_delay, lambda: say(f"archrank answers on {url}"))
        server.run(sockets=[listener])


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
