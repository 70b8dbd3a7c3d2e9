"""Fixtures and helpers of the service's tests; the real server is in the parent directory."""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterator, Sequence
from functools import cache
from typing import Any

import httpx
import pytest

from models.gcn_nas import PENG
from service.app import make_backend, make_context
from service.inference.cache import ResultCache
from service.inference.queries import Query
from service.inference.registry import EnsembleRegistry
from service.inference.scheduler import Requester
from service.settings import Settings
from tests.waiting import PATIENCE_S

SMALL: dict[str, Any] = {
    "space": "gcn-nas",
    "layers": [["L4", "L2", "S"], ["L3", "T"], ["L", "L2", "ST"], ["L", "L4n", "S", "T"]],
}
SIX: dict[str, Any] = {"space": "gcn-nas", "layers": [["S"], ["L", "T"], ["ST"], ["L3", "S"], ["T"], ["L2", "ST"]]}
FOUR_LAYERS: dict[str, Any] = {
    "space": "gcn-nas",
    "mask": [
        [1, 0, 0, 0, 1, 1, 0, 0],
        [0, 1, 0, 0, 0, 0, 1, 0],
        [0, 0, 0, 1, 0, 0, 1, 1],
        [0, 1, 0, 0, 1, 1, 0, 0],
    ],
}
ARCHITECTURES = [SMALL, PENG, FOUR_LAYERS, SIX]
CHEAP = ["params", "nwot"]
HEADERS: dict[str, str] = {}
"""Headers of every request to the server."""

Post = Callable[..., Any]


@pytest.fixture(autouse=True)
def log_of_its_own() -> Iterator[None]:
    """Remove log handlers that a test installed: their streams end with the test."""
    before = list(logging.root.handlers)
    yield
    for handler in list(logging.root.handlers):
        if type(handler) is logging.StreamHandler and handler not in before:
            logging.root.removeHandler(handler)


@cache
def shipped_ensembles() -> EnsembleRegistry:
    """Load the shipped ensembles, once: it takes seconds, and no test changes them."""
    return EnsembleRegistry.load(Settings(device="cpu"))


@pytest.fixture
def ensembles() -> EnsembleRegistry:
    """The shipped ensembles."""
    return shipped_ensembles()


@pytest.fixture(scope="session")
def client(url: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=url, timeout=PATIENCE_S, headers=HEADERS) as connection:
        yield connection


@pytest.fixture
def post(client: httpx.Client) -> Post:
    """Post JSON to a path and return the JSON of the response, which has status 200."""

    def call(path: str, **body: Any) -> Any:
        response = client.post(path, json=body)
        assert response.status_code == 200, response.text
        return response.json()

    return call


def run_inline(
    function: Callable[..., Coroutine[Any, Any, Any]],
    architectures: Sequence[Any],
    query: Query,
    ensembles: EnsembleRegistry,
    settings: Settings | None = None,
    cache: ResultCache | None = None,
    **options: Any,
) -> Any:
    """Run a function of the pipeline, e.g. `predict`, in this process. `options` are passed to it."""
    settings = settings or Settings(device="cpu", backend="inline")
    backend = make_backend(settings, ensembles)
    backend.start()

    async def run() -> Any:
        context = make_context(settings, ensembles, backend, None, cache)
        return await function(architectures, query, context, Requester(), **options)

    try:
        return asyncio.run(run())
    finally:
        backend.stop()


def without_costs(document: Any) -> Any:
    """Remove durations and `cached` from a document."""
    if isinstance(document, dict):
        return {name: without_costs(value) for name, value in document.items() if name not in ("seconds", "cached")}
    return [without_costs(value) for value in document] if isinstance(document, list) else document
