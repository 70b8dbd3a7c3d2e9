"""Expected responses of the server, computed in this process beforehand."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import isclose
from typing import Any

import numpy as np
import torch

from ensemble import Prediction
from models import get_space
from service.api.documents import prediction_response
from service.app import make_backend, make_context
from service.inference import pipeline
from service.inference.queries import PredictionQuery
from service.inference.registry import EnsembleRegistry
from service.inference.scheduler import Requester
from service.settings import Settings

SCORED, FRESH = ["params", "nwot"], ["params"]
SEED = 2**31
"""First of the seeds whose scores are not cached."""
CHUNK = 20
Facts = dict[str, float]


@dataclass(frozen=True)
class Known:
    """Architectures and the expected facts of each.

    Attributes:
        options: other fields of the requests.
    """

    options: dict[str, Any]
    architectures: list[Any]
    facts: list[Facts]


def known(structures: int, scored: int, step: Callable[[], None]) -> dict[str, Known]:
    """Compute the facts by kind of request. Calls `step` `steps(scored)` times."""
    torch.set_num_threads(1)
    settings = Settings(device="cpu", backend="inline")
    library = EnsembleRegistry.load(settings)
    model, space, rng = library.get(), get_space("gcn-nas"), np.random.default_rng(0)
    many = [space.sample(rng, depth=4 + 2 * (i % 4)) for i in range(structures)]
    facts = [_said(one) for one in model.ensemble.predict(many)]
    found = {"structure": Known({"proxies": []}, [space.to_json(one) for one in many], facts)}
    few = [space.to_json(space.sample(rng, depth=4)) for _ in range(scored)]
    requests: dict[str, dict[str, Any]] = {"scored": {"proxies": SCORED}, "fresh": {"proxies": FRESH, "seed": SEED}}
    for name, options in requests.items():
        found[name] = Known(options, few, _answered(few, options, settings, library, step))
    return found


def steps(scored: int) -> int:
    """Return the number of times that `known` calls `step`."""
    return 2 * -(-scored // CHUNK)


def facts(item: dict[str, Any]) -> Facts:
    """Return the numbers of a response that do not depend on the request's time."""
    interval = item["interval"]
    numbers = {"accuracy": item["accuracy"], "percentile": item["percentile"]}
    numbers |= {"low": interval["low"], "high": interval["high"]}
    numbers |= {name: score["value"] for name, score in item["scores"].items()}
    return numbers | {f"{name}'s": estimate["accuracy"] for name, estimate in item["combiners"].items() if estimate}


def same(one: Facts, other: Facts) -> bool:
    """Return whether two responses agree."""
    return one.keys() == other.keys() and all(
        isclose(one[name], other[name], rel_tol=1e-9, abs_tol=1e-9) for name in one
    )


def _said(one: Prediction) -> Facts:
    assert one.accuracy is not None
    assert one.interval is not None
    interval = {"low": one.interval.low, "high": one.interval.high}
    own = {"accuracy": one.accuracy, "percentile": one.percentile, **interval}
    others = {f"{name}'s": its.accuracy for name, its in one.combiners.items() if its}
    return own | {name: accuracy for name, accuracy in others.items() if accuracy is not None}


def _answered(
    architectures: Sequence[Any],
    options: dict[str, Any],
    settings: Settings,
    library: EnsembleRegistry,
    step: Callable[[], None],
) -> list[Facts]:
    backend = make_backend(settings, library)
    backend.start()

    async def answers() -> list[Facts]:
        context, found = make_context(settings, library, backend, None), []
        for first in range(0, len(architectures), CHUNK):
            chunk = list(architectures[first : first + CHUNK])
            result = await pipeline.predict(chunk, PredictionQuery(**options), context, Requester())
            found += [facts(one.model_dump(mode="json")) for one in prediction_response(result).predictions]
            step()
        return found

    try:
        return asyncio.run(answers())
    finally:
        backend.stop()
