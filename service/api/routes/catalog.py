"""Search spaces, ensembles, proxies and limits."""

from typing import Annotated

from fastapi import APIRouter, Depends

from models import UnknownNameError
from models.registry import SpaceInfo, space_infos
from proxies.registry import proxies_by_name
from service.api.cards import EnsembleCard, Limits, ProxyCard, ReferenceSet, SpaceCard
from service.api.deps import AuthenticatedRoute, CallerDep, ContextDep, SettingsDep
from service.api.documents import ensemble_card, reference_set, space_card
from service.api.page_sizes import MAX_PAGE_SIZE, MAX_SAMPLE_SIZE
from service.api.problems import ProblemError, problem_responses
from service.inference.registry import LoadedEnsemble

router = APIRouter(prefix="/v1", tags=["catalog"], route_class=AuthenticatedRoute)


def _space(name: str) -> SpaceInfo:
    for info in space_infos():
        if info.name == name:
            return info
    error = UnknownNameError("space", name, [info.name for info in space_infos()])
    raise ProblemError(404, str(error), [error])


def _ensemble(name: str, context: ContextDep) -> LoadedEnsemble:
    try:
        return context.ensembles.get(name)
    except UnknownNameError as error:
        raise ProblemError(404, str(error), [error]) from error


@router.get("/spaces", responses=problem_responses())
def list_spaces(context: ContextDep) -> dict[str, SpaceCard]:
    """Describe the search spaces by name, with the notations of their architectures."""
    return {info.name: space_card(info, context.ensembles) for info in space_infos()}


@router.get("/spaces/{name}", responses=problem_responses(404, 422))
def get_space(space: Annotated[SpaceInfo, Depends(_space)], context: ContextDep) -> SpaceCard:
    """Describe a search space, with the notations of its architectures."""
    return space_card(space, context.ensembles)


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
    """Return the limits of requests, jobs and studies for the API key of the request."""
    return Limits(
        max_architectures=settings.max_architectures,
        max_brief_architectures=settings.max_brief_architectures,
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
        max_studies=settings.max_studies,
        max_study_observations=settings.max_study_observations,
    )


@router.get("/proxies", responses=problem_responses())
def list_proxies() -> list[ProxyCard]:
    """Return the cards of the zero-cost proxies."""
    return [ProxyCard.from_proxy(proxy) for proxy in proxies_by_name().values()]
