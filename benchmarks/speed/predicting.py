"""Cost of predictions from structure alone, without a network connection."""

import asyncio
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

import httpx

import ensemble
from benchmarks.speed.machine import seconds
from benchmarks.speed.scoring import architecture
from ensemble import Ensemble
from models import get_space
from service.app import create_app
from service.settings import Settings

NUMBERS = (1, 10, 100, 1_000, 10_000)
URL = "http://127.0.0.1"
ARTIFACTS = Path(ensemble.__file__).parent / "artifacts"


def structure_only() -> dict[int, float]:
    """Measure seconds by number of architectures in one call, with features, without parsing."""
    fitted = Ensemble.load(ARTIFACTS / "gcn-nas-ntu")
    architectures = _architectures(max(NUMBERS))
    return {
        number: seconds(partial(fitted.predict, architectures[:number]), 3 if number > 999 else 30)
        for number in NUMBERS
    }


def cached() -> dict[int, float]:
    """Measure seconds by number of architectures in one repeated request to the application, parsing included."""
    return asyncio.run(_cached())


async def _cached() -> dict[int, float]:
    space = get_space("gcn-nas")
    documents = [space.to_json(arch) for arch in _architectures(1000)]
    measured: dict[int, float] = {}
    with TemporaryDirectory() as folder:
        settings = Settings(
            ensembles_dir=ARTIFACTS, data_dir=Path(folder), device="cpu", num_workers=1, max_architectures=1000
        )
        app = create_app(settings)
        transport = httpx.ASGITransport(app)
        async with app.router.lifespan_context(app), httpx.AsyncClient(transport=transport, base_url=URL) as client:
            for number in (10, 100, 1000):
                body = {"architectures": documents[:number], "proxies": []}
                times = []
                for _ in range(11):
                    started = perf_counter()
                    response = await client.post("/v1/predictions", json=body)
                    response.raise_for_status()
                    times.append(perf_counter() - started)
                measured[number] = min(times[1:])
    return measured


def _architectures(number: int) -> list[Any]:
    return [architecture(4 + 2 * (i % 4), i) for i in range(number)]
