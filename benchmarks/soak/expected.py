"""What the server has to answer, computed once in this process beforehand."""

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
"""From which on seeds are used that were not asked for before."""
CHUNK = 20
Facts = dict[str, float]


@dataclass(frozen=True)
class Known:
    """Architectures, and the facts about each.

    Attributes:
        options: of the requests that these are the answers to.
    """

    options: dict[str, Any]
    architectures: list[Any]
    facts: list[Facts]


def known(structures: int, scored: int, step: Callable[[], None]) -> dict[str, Known]:
    """By kind of request; `step` is called as it goes on, `steps` times."""
    torch.set_num_threads(1)
    settings = Settings(device="cpu", backend="inline")
    library = EnsembleRegistry.load(settings)
    model, space, rng = library.get(), get_space("gcn-nas"), np.random.default_rng(0)
    many = [space.sample(rng, depth=4 + 2 * (i % 4)) for i in range(structures)]
    facts = [_said(one) for one in model.ensemble.predict(many)]
    found = {"structure": Known({"proxies": []}, [space.to_json(one) for one in many], facts)}
    few = [space.to_json(space.sample(rng, depth=4)) for _ in range(scored)]
    for name, options in {"scored": {"proxies": SCORED}, "fresh": {"proxies": FRESH, "seed": SEED}}.items():
        found[name] = Known(options, few, _answered(few, options, settings, library, step))
    return found


def steps(scored: int) -> int:
    """How often `known` calls its `step`."""
    return 2 * -(-scored // CHUNK)


def facts(item: dict[str, Any]) -> Facts:
    """The numbers of an answer that are the same whenever one asks."""
    found = {"accuracy": item["accuracy"], "percentile": item["percentile"], **item["interval"]}
    found |= {name: score["value"] for name, score in item["scores"].items()}
    return found | {f"{name}'s": one["accuracy"] for name, one in item["combiners"].items() if one}


def same(one: Facts, other: Facts) -> bool:
    """Whether two answers agree."""
    return one.keys() == other.keys() and all(
        isclose(one[name], other[name], rel_tol=1e-9, abs_tol=1e-9) for name in one
    )


def _said(one: Prediction) -> Facts:
    interval = {"low": one.interval.low, "high": one.interval.high}
    own = {"accuracy": one.accuracy, "percentile": one.percentile, **interval}
    return own | {f"{name}'s": its.accuracy for name, its in one.combiners.items() if its}


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
