"""`archrank serve`: load the ensembles, listen, serve, and shut down in steps."""

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
from proxies.memory import use_single_arena
from service.api.authentication import is_loopback
from service.api.shutdown import ShutdownState
from service.api_keys import NO_KEY_HINT
from service.app import create_app
from service.inference.registry import EnsembleRegistry
from service.observability import logs
from service.server.protocol import LimitedProtocol
from service.settings import Settings
from service.storage import Store
from service.storage.opening import open_store, store_url
from service.storage.single_instance_lock import single_instance_lock

log = logging.getLogger(__name__)
SIGNAL_DEBOUNCE_S = 0.5
"""Time in which a second signal counts as the first: some senders signal a process and then its group."""
KEEP_ALIVE_TIMEOUT_S = 75
"""Time after which an idle connection is closed: longer than most clients keep one, lest it closes as they use it."""


class Server(uvicorn.Server):
    """uvicorn's server, shut down in steps: not ready; no new connections, running requests finish; application ends.

    Args:
        config: configuration of uvicorn.
        state: progress of the shutdown, for routes.
        delay: seconds of the first step, in which load balancers notice.
        on_started: called once the server accepts connections.
    """

    def __init__(
        self, config: uvicorn.Config, state: ShutdownState, delay: float, on_started: Callable[[], None]
    ) -> None:
        super().__init__(config)
        self._state, self._delay, self._on_started = state, delay, on_started
        self._signalled_at = math.inf

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept connections, then call `on_started`."""
        await super().startup(sockets)
        if self.started:
            self._on_started()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin the shutdown at the first signal, and end the process at the second."""
        if not self._state.draining:
            self._state.draining, self._signalled_at = True, monotonic()
            self._captured_signals.append(sig)
        elif monotonic() > self._signalled_at + SIGNAL_DEBOUNCE_S:  # finished work is in the store
            signal.signal(sig, signal.SIG_DFL)
            signal.raise_signal(sig)

    async def on_tick(self, counter: int) -> bool:
        """Stop the main loop once the delay is over."""
        self.should_exit = monotonic() >= self._signalled_at + self._delay
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Close the port and the application."""
        self._state.closed_at = monotonic()
        await super().shutdown(sockets)


def serve(settings: Settings, announce: Callable[[str], None]) -> None:
    """Serve until a signal.

    Args:
        settings: settings of the server.
        announce: called with a line that names the URL, once the server accepts connections.

    Raises:
        StoreInUseError: another server uses the same SQLite file.
        InputError: the address cannot be used, or can be reached from other machines while no key exists.
        ArchrankError: the store or an ensemble cannot be opened.
    """
    check_host(settings)
    logs.setup(settings.log_format, settings.log_level)
    with single_instance_lock(store_url(settings)), open_store(settings) as store:
        if not (settings.keys or store.keys.anonymous() or any(key.revoked_at is None for key in store.keys.list())):
            log.warning("every request is refused, as no API key is in use: %s", NO_KEY_HINT)
        _serve(settings, store, announce)


def _serve(settings: Settings, store: Store, announce: Callable[[str], None]) -> None:
    use_single_arena()
    app = create_app(settings, EnsembleRegistry.load(settings), store)
    gc.freeze()  # loaded objects are never garbage, and collections that traverse them would delay requests
    config = uvicorn.Config(
        app,
        http=LimitedProtocol,
        ws="none",
        root_path=settings.root_path,
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=math.ceil(settings.shutdown_timeout),
        timeout_keep_alive=KEEP_ALIVE_TIMEOUT_S,
    )
    with _listen(settings.host, settings.port) as listener, contextlib.suppress(KeyboardInterrupt):
        host, port = listener.getsockname()[:2]
        url = f"http://{f'[{host}]' if ':' in host else host}:{port}"
        server = Server(
            config, app.state.shutdown, settings.shutdown_delay, lambda: announce(f"archrank listens on {url}")
        )
        server.run(sockets=[listener])


def check_host(settings: Settings) -> None:
    """Raise `InputError` if other machines can reach the server while no API key exists."""
    if is_loopback(settings.host) or settings.keys:
        return
    with open_store(settings) as store:
        if all(key.revoked_at for key in store.keys.list()):
            raise InputError("host", settings.host, "a loopback address without any API key: `archrank keys create`")


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as error:
        raise InputError("host, port", f"{host}, {port}", f"a free address of this machine ({error})") from error
