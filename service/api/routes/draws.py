"""Random architectures of a search space, and random mutations."""

from collections.abc import Callable
from typing import Any

import numpy as np
from fastapi import APIRouter

from models import Architecture, EditableSpace, InputError, SearchSpace, UnknownNameError, require
from models import get_space as find_space
from service.api.cards import MutationRequest, Sample, SampleRequest
from service.api.deps import ContextDep, JsonRoute, RequesterDep
from service.api.problems import ProblemError, problem_responses
from service.inference.context import AppContext
from service.inference.limits import check_space
from service.inference.scheduler import Requester

router = APIRouter(prefix="/v1", tags=["catalog"], route_class=JsonRoute)
DRAWS_PER_TURN = 100
"""Random architectures that are drawn before other requests have their turn."""
MAX_DRAWS_WITHOUT_NEW = 1000
"""Draws in a row without a new architecture after which no more are expected."""
RESPONSES = problem_responses(400, 404, 408, 413, 415, 422, 503)


@router.post("/spaces/{name}/sample", responses=RESPONSES)
async def sample_architectures(name: str, body: SampleRequest, context: ContextDep, requester: RequesterDep) -> Sample:
    """Sample distinct random architectures from the distribution of the space's benchmark."""
    space, rng = _space(name, body.settings), np.random.default_rng(body.seed)
    if reserved := {"self", "rng"} & set(body.fixed):
        raise InputError("fixed", sorted(reserved), "properties that the space can hold fixed")
    return await _draw(lambda: space.sample(rng, **body.fixed), body.number, space, context, requester)


@router.post("/spaces/{name}/mutate", responses=RESPONSES)
async def mutate_architecture(name: str, body: MutationRequest, context: ContextDep, requester: RequesterDep) -> Sample:
    """Draw distinct random mutations of an architecture."""
    space, rng = require(_space(name, body.settings), EditableSpace), np.random.default_rng(body.seed)
    check_space(body.architecture, name)
    architecture = space.parse(body.architecture)
    return await _draw(lambda: space.mutate(architecture, rng), body.number, space, context, requester)


def _space(name: str, settings: dict[str, Any] | None) -> SearchSpace[Any]:
    try:
        return find_space(name, **(settings or {}))
    except UnknownNameError as error:
        if error.field != "space":
            raise
        raise ProblemError(404, str(error), [error]) from error


async def _draw(
    draw: Callable[[], Architecture],
    number: int,
    space: SearchSpace[Any],
    context: AppContext,
    requester: Requester,
) -> Sample:
    """Draw distinct architectures, a few at a turn; fewer if no more are found."""
    drawn: dict[Architecture, None] = {}
    draws_without_new = 0

    def take_turn() -> None:
        nonlocal draws_without_new
        for _ in range(DRAWS_PER_TURN):
            if len(drawn) >= number or draws_without_new >= MAX_DRAWS_WITHOUT_NEW:
                break
            before = len(drawn)
            drawn[draw()] = None
            draws_without_new = 0 if len(drawn) > before else draws_without_new + 1

    while len(drawn) < number and draws_without_new < MAX_DRAWS_WITHOUT_NEW:
        await context.run_brief(requester, take_turn)
    return Sample(architectures=[space.to_json(architecture) for architecture in drawn])
