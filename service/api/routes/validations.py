"""Validation of architectures without building them."""

from fastapi import APIRouter

from ensemble.data.benchmark import stratum_label
from models import Architecture, CostedSpace, EncodedSpace
from service.api.deps import ContextDep, JsonRoute, RequesterDep, SettingsDep, check_number
from service.api.documents import validated_items
from service.api.problems import problem_responses
from service.api.schemas import ValidationRequest, ValidationResponse, ValidItem
from service.inference.pipeline import make_plan, parse

router = APIRouter(prefix="/v1", tags=["predictions"], route_class=JsonRoute)


@router.post("/architectures/validate", responses=problem_responses(400, 408, 413, 415, 422, 503))
async def validate_architectures(
    body: ValidationRequest, context: ContextDep, settings: SettingsDep, requester: RequesterDep
) -> ValidationResponse:
    """Validate architectures and compute their cost by formula; no network is built.

    Validations are in the order of the request, with an `error` for each architecture that is malformed or too large.
    """
    check_number(len(body.architectures), settings.max_architectures)
    plan = await make_plan(body.architectures, body.to_query(), context, requester)
    space, shapes = plan.context.space, plan.context.shapes

    def valid_item(architecture: Architecture) -> ValidItem:
        cost = space.cost(architecture, shapes) if isinstance(space, CostedSpace) else None
        return ValidItem(
            architecture=space.to_json(architecture),
            fingerprint=architecture.fingerprint,
            stratum=space.stratum(architecture) if isinstance(space, EncodedSpace) else None,
            stratum_label=stratum_label(space),
            parameters=cost and cost.params,
            flops=cost and cost.flops,
            warnings=space.warnings(architecture),
        )

    def validate() -> ValidationResponse:
        parsed = parse(body.architectures, context.limits.parser(plan.context))
        return ValidationResponse(validations=validated_items(parsed, valid_item))

    return await context.run_brief(requester, validate)
