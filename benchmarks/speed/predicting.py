"""What a prediction from structure alone costs, without HTTP."""

from pathlib import Path
from typing import Any

import ensemble
from benchmarks.speed.machine import seconds
from benchmarks.speed.scoring import architecture
from ensemble import Ensemble
from service.api.schemas import PredictionRequest
from service.inference.cache import Memory
from service.inference.pipeline import predict
from service.inference.registry import EnsembleRegistry
from service.settings import Settings

NUMBERS = (1, 10, 100, 1_000, 10_000)
ARTIFACTS = Path(ensemble.__file__).parent / "artifacts"


def structure_only() -> dict[int, float]:
    """Seconds by number of architectures in one call, features included, reading not."""
    fitted = Ensemble.load(ARTIFACTS / "gcn-nas-ntu")
    architectures = _architectures(max(NUMBERS))
    return {
        number: seconds(lambda number=number: fitted.predict(architectures[:number]), 3 if number > 999 else 30)
        for number in NUMBERS
    }


def cached() -> dict[int, float]:
    """Seconds by number of architectures in one request that was made before, reading included."""
    settings = Settings(ensembles_dir=ARTIFACTS, device="cpu")
    library, memory = EnsembleRegistry.load(settings), Memory(settings.cache_size)
    space = library.model().probe.space
    texts = [space.to_json(arch) for arch in _architectures(1000)]

    def predicted(number: int) -> None:
        request = PredictionRequest(architectures=texts[:number], proxies=[])
        predict(request, library, memory).run().model_dump_json()

    return {number: seconds(lambda number=number: predicted(number), 10) for number in (10, 100, 1000)}


def _architectures(number: int) -> list[Any]:
    return [architecture(4 + 2 * (i % 4), i) for i in range(number)]
