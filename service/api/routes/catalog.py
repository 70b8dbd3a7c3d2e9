"""What there is: search spaces, ensembles, proxies."""

from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Depends, Query

from models import Architecture, SearchSpace, UnknownNameError, get_space, space_names
from proxies import proxy_infos
from service.api.cards import EnsembleCard, Limits, ProxyCard, ReferenceSet, Sample
from service.api.deps import DIGITS, AskerDep, CallerDep, DeskDep, GuardedRoute, SettingsDep
from service.api.problems import ProblemError, documented
from service.api.routes.jobs import MOST as PAGE
from service.inference.registry import LoadedEnsemble

router = APIRouter(prefix="/v1", tags=["catalog"], route_class=GuardedRoute)
SAMPLE = 1000
"""Most random architectures at once."""
DRAWN = 100
"""Most of them that are drawn before others have their turn."""


def _space(name: str) -> SearchSpace[Architecture]:
    try:
        return get_space(name)
    except UnknownNameError as error:
        raise ProblemError(404, str(error), [error]) from error


def _model(name: str, context: DeskDep) -> LoadedEnsemble:
    try:
        return context.library.model(name)
    except UnknownNameError as error:
        raise ProblemError(404, str(error), [error]) from error


@router.get("/spaces", responses=documented())
def list_spaces() -> dict[str, dict[str, Any]]:
    """Search spaces by name, with all that is needed to write an architecture down."""
    return {name: get_space(name).describe() for name in space_names()}


@router.get("/spaces/{name}/sample", responses=documented(404, 422))
async def sample_architectures(
    context: DeskDep,
    asker: AskerDep,
    space: Annotated[SearchSpace[Architecture], Depends(_space)],
    n: Annotated[int, Query(ge=1, le=SAMPLE, description="how many"), DIGITS] = 1,
    seed: Annotated[int, Query(ge=0, lt=2**32, description="the same seed draws the same"), DIGITS] = 0,
    depth: Annotated[
        int | None, Query(ge=1, le=1000, description="number of layers; drawn too if left out"), DIGITS
    ] = None,
) -> Sample:
    """Random architectures of the population that the space's benchmark was drawn from, each of them once."""
    rng = np.random.default_rng(seed)
    fixed = {} if depth is None else {"depth": depth}
    drawn: dict[Architecture, None] = {}

    def draw() -> None:
        for _ in range(min(DRAWN, n - len(drawn))):
            drawn[space.sample(rng, **fixed)] = None

    while len(drawn) < n:
        await context.quick(asker, draw)
    return Sample(architectures=[space.to_json(arch) for arch in drawn])


@router.get("/ensembles", responses=documented())
def list_ensembles(context: DeskDep) -> dict[str, EnsembleCard]:
    """The cards of the fitted ensembles by name: what each was fitted on and how good it is."""
    return {name: model.card for name, model in context.library.models.items()}


@router.get("/ensembles/{name}", responses=documented(404, 422))
def get_ensemble(model: Annotated[LoadedEnsemble, Depends(_model)]) -> EnsembleCard:
    """The card of one ensemble: what it was fitted on, how good it is, and what it is not good for."""
    return model.card


@router.get("/ensembles/{name}/reference-set", responses=documented(404, 422))
def get_reference_set(model: Annotated[LoadedEnsemble, Depends(_model)]) -> ReferenceSet:
    """The reference set of percentiles: held-out predictions by combiner, quantiles by proxy."""
    return model.reference_set


@router.get("/limits", responses=documented())
async def get_limits(settings: SettingsDep, caller: CallerDep) -> Limits:
    """Limits of requests and jobs for the API key of the request."""
    return Limits(
        max_architectures=settings.max_architectures,
        max_job_architectures=settings.max_job_architectures,
        max_body_bytes=settings.max_body_bytes,
        max_job_body_bytes=settings.max_job_body_bytes,
        sync_timeout=settings.sync_timeout,
        max_page_size=PAGE,
        max_sample_size=SAMPLE,
        result_retention=settings.result_retention,
        requests_per_minute=caller.rate_limit,
        max_active_jobs=caller.max_active_jobs,
        queue_share=caller.queue_share,
    )


@router.get("/proxies", responses=documented())
def list_proxies() -> list[ProxyCard]:
    """The zero-cost proxies."""
    return [ProxyCard.from_info(info) for info in proxy_infos()]
