"""Search spaces, ensembles, proxies and limits."""

from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Depends, Query

from models import Architecture, SearchSpace, UnknownNameError, get_space, space_names
from proxies import proxy_infos
from service.api.cards import EnsembleCard, Limits, ProxyCard, ReferenceSet, Sample
from service.api.deps import DIGITS, AuthenticatedRoute, CallerDep, ContextDep, RequesterDep, SettingsDep
from service.api.documents import ensemble_card, reference_set
from service.api.page_sizes import MAX_PAGE_SIZE, MAX_SAMPLE_SIZE
from service.api.problems import ProblemError, problem_responses
from service.inference.registry import LoadedEnsemble

router = APIRouter(prefix="/v1", tags=["catalog"], route_class=AuthenticatedRoute)
SAMPLES_PER_TURN = 100
"""Random architectures that are drawn before other requests have their turn."""


def _space(name: str) -> SearchSpace[Any]:
    try:
        return get_space(name)
    except UnknownNameError as error:
        raise ProblemError(404, str(error), [error]) from error


def _ensemble(name: str, context: ContextDep) -> LoadedEnsemble:
    try:
        return context.ensembles.get(name)
    except UnknownNameError as error:
        raise ProblemError(404, str(error), [error]) from error


@router.get("/spaces", responses=problem_responses())
def list_spaces() -> dict[str, dict[str, Any]]:
    """Describe the search spaces by name, with their modules and the notation of architectures."""
    return {name: get_space(name).describe() for name in space_names()}


@router.get("/spaces/{name}/sample", responses=problem_responses(404, 422))
async def sample_architectures(
    context: ContextDep,
    requester: RequesterDep,
    space: Annotated[SearchSpace[Any], Depends(_space)],
    n: Annotated[int, Query(ge=1, le=MAX_SAMPLE_SIZE, description="number of architectures"), DIGITS] = 1,
    seed: Annotated[int, Query(ge=0, lt=2**32, description="seed of the random generator"), DIGITS] = 0,
    depth: Annotated[
        int | None, Query(ge=1, le=1000, description="number of layers; by default random"), DIGITS
    ] = None,
) -> Sample:
    """Sample distinct random architectures from the distribution of the space's benchmark."""
    rng = np.random.default_rng(seed)
    fixed = {} if depth is None else {"depth": depth}
    sample: dict[Architecture, None] = {}

    def draw() -> None:
        for _ in range(min(SAMPLES_PER_TURN, n - len(sample))):
            sample[space.sample(rng, **fixed)] = None

    while len(sample) < n:
        await context.run_brief(requester, draw)
    return Sample(architectures=[space.to_json(architecture) for architecture in sample])


@router.get("/ensembles", responses=problem_responses())
def list_ensembles(context: ContextDep) -> dict[str, EnsembleCard]:
    """Return the cards of all ensembles by name."""
    return {name: ensemble_card(loaded.manifest) for name, loaded in context.ensembles.ensembles.items()}


@router.get("/ensembles/{name}", responses=problem_responses(404, 422))
def get_ensemble(loaded: Annotated[LoadedEnsemble, Depends(_ensemble)]) -> EnsembleCard:
    """Return the card of an ensemble: its training data, quality and limitations."""
    return ensemble_card(loaded.manifest)


@router.get("/ensembles/{name}/reference-set", responses=problem_responses(404, 422))
def get_reference_set(loaded: Annotated[LoadedEnsemble, Depends(_ensemble)]) -> ReferenceSet:
    """Return the reference set of percentiles: held-out predictions by combiner, quantiles by proxy."""
    return reference_set(loaded)


@router.get("/limits", responses=problem_responses())
async def get_limits(settings: SettingsDep, caller: CallerDep) -> Limits:
    """Return the limits of requests and jobs for the API key of the request."""
    return Limits(
        max_architectures=settings.max_architectures,
        max_job_architectures=settings.max_job_architectures,
        max_body_bytes=settings.max_body_bytes,
        max_job_body_bytes=settings.max_job_body_bytes,
        sync_timeout=settings.sync_timeout,
        max_page_size=MAX_PAGE_SIZE,
        max_sample_size=MAX_SAMPLE_SIZE,
        result_retention=settings.result_retention,
        requests_per_minute=caller.rate_limit,
        max_active_jobs=caller.max_active_jobs,
        queue_share=caller.queue_share,
    )


@router.get("/proxies", responses=problem_responses())
def list_proxies() -> list[ProxyCard]:
    """Return the cards of the zero-cost proxies."""
    return [ProxyCard.from_info(info) for info in proxy_infos()]
