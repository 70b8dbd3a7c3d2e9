"""Cost of predictions from structure alone, without HTTP."""

import asyncio
from functools import partial
from typing import Any

from benchmarks.speed.machine import seconds
from benchmarks.speed.scoring import architecture
from ensemble import Ensemble
from service.api.documents import prediction_response
from service.app import make_backend, make_context
from service.inference import pipeline
from service.inference.queries import PredictionQuery
from service.inference.registry import EnsembleRegistry
from service.inference.scheduler import Requester
from service.settings import SHIPPED, Settings

NUMBERS = (1, 10, 100, 1_000, 10_000)


def structure_only() -> dict[int, float]:
    """Measure seconds by number of architectures in one call, with features, without parsing."""
    fitted = Ensemble.load(SHIPPED / "gcn-nas-ntu")
    architectures = _architectures(max(NUMBERS))
    return {
        number: seconds(partial(fitted.predict, architectures[:number]), 3 if number > 999 else 30)
        for number in NUMBERS
    }


def cached() -> dict[int, float]:
    """Measure seconds by number of architectures in one repeated query, parsing included."""
    settings = Settings(ensembles_dir=SHIPPED, device="cpu", backend="inline")
    ensembles = EnsembleRegistry.load(settings)
    space = ensembles.get().context.space
    architectures = [space.to_json(architecture) for architecture in _architectures(1000)]

    with asyncio.Runner() as runner:
        context = make_context(settings, ensembles, make_backend(settings, ensembles), None)

        def predict(number: int) -> None:
            query = PredictionQuery(proxies=[])
            result = runner.run(pipeline.predict(architectures[:number], query, context, Requester()))
            prediction_response(result).model_dump_json()

        try:
            return {number: seconds(partial(predict, number), 10) for number in (10, 100, 1000)}
        finally:
            context.close()


def _architectures(number: int) -> list[Any]:
    return [architecture(4 + 2 * (i % 4), i) for i in range(number)]
