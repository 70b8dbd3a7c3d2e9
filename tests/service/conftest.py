"""What the tests of the service share; the real server is in the folder above."""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import httpx
import pytest

from models.gcn_nas import PENG
from service.api.schemas import FOUR_LAYERS
from service.app import make_backend, make_context
from service.inference.context import AppContext
from service.inference.registry import EnsembleRegistry
from service.inference.scheduler import Requester
from service.settings import Settings

SMALL: dict[str, Any] = {
    "space": "gcn-nas",
    "layers": [["L4", "L2", "S"], ["L3", "T"], ["L", "L2", "ST"], ["L", "L4n", "S", "T"]],
}
SIX: dict[str, Any] = {"space": "gcn-nas", "layers": [["S"], ["L", "T"], ["ST"], ["L3", "S"], ["T"], ["L2", "ST"]]}
ARCHITECTURES = [SMALL, PENG, FOUR_LAYERS, SIX]
CHEAP = ["params", "nwot"]
HEADERS: dict[str, str] = {}
"""Of every request that the tests send to the server."""

Post = Callable[..., Any]


@pytest.fixture(autouse=True)
def log_of_its_own() -> Iterator[None]:
    """A command that sets up the log, as `serve` does, writes to a stream that ends with its test."""
    before = list(logging.root.handlers)
    yield
    for handler in list(logging.root.handlers):
        if type(handler) is logging.StreamHandler and handler not in before:
            logging.root.removeHandler(handler)


@pytest.fixture(scope="session")
def client(url: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=url, timeout=120, headers=HEADERS) as connection:
        yield connection


@pytest.fixture
def post(client: httpx.Client) -> Post:
    """Posts JSON to a path, and gives the JSON that comes back with 200."""

    def call(path: str, **body: Any) -> Any:
        response = client.post(path, json=body)
        assert response.status_code == 200, response.text
        return response.json()

    return call


def answer(
    how: Callable[[Any, AppContext, Requester], Coroutine[Any, Any, Any]],
    request: Any,
    library: EnsembleRegistry,
    settings: Settings | None = None,
    **more: Any,
) -> Any:
    """What the pipeline answers, scored in this process. `more`: of the desk, e.g. its memory."""
    settings = settings or Settings(device="cpu", backend="inline")
    backend = make_backend(settings, library)
    backend.start()
    try:
        return asyncio.run(how(request, make_context(settings, library, backend, None, **more), Requester()))
    finally:
        backend.stop()


def without_costs(document: Any) -> Any:
    """A document less everything that says what it cost: durations, and what was cached."""
    if isinstance(document, dict):
        return {name: without_costs(value) for name, value in document.items() if name not in ("seconds", "cached")}
    return [without_costs(value) for value in document] if isinstance(document, list) else document
