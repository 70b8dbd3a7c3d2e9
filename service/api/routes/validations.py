"""What architectures are, before anything is built of them."""

from fastapi import APIRouter

from models import Architecture
from service.api.deps import AskerDep, DeskDep, SettingsDep, StrictRoute, check_size
from service.api.problems import documented
from service.api.schemas import ValidationRequest, ValidationResponse, ValidItem
from service.inference.outputs import Results
from service.inference.pipeline import parsed

router = APIRouter(prefix="/v1", tags=["predictions"], route_class=StrictRoute)


@router.post("/architectures/validate", responses=documented(400, 408, 413, 415, 422, 503))
async def validate_architectures(
    body: ValidationRequest, context: DeskDep, settings: SettingsDep, asker: AskerDep
) -> ValidationResponse:
    """Look at architectures: whether they can be predicted, and what they cost. Nothing is built.

    Answers come in the order posted, an `error` for each architecture that cannot be read or is too large.
    """
    check_size(len(body.architectures), settings.max_architectures)
    probe = context.library.probe
    space, shape = probe.space, probe.shape

    def item(arch: Architecture) -> ValidItem:
        cost = space.cost(arch, shape)
        return ValidItem(
            architecture=space.to_json(arch),
            fingerprint=arch.fingerprint,
            layers=arch.depth,
            parameters=cost.params,
            flops=cost.flops,
            warnings=space.warnings(arch),
        )

    def validated() -> ValidationResponse:
        results = Results(parsed(body.architectures, context.limits.reader(probe)))
        return ValidationResponse(validations=results.items(item))

    return await context.quick(asker, validated)
