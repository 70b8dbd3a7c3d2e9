"""Limits on the size of an architecture and of a probe batch, checked before anything is built."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

from models import Architecture, ArchitectureError, BatchError, BuildableSpace, CostedSpace, SearchSpace, require
from service.inference.scoring_context import ScoringContext, batch_spec


@dataclass(frozen=True)
class SizeLimits:
    """Maximum cost of an architecture, and size of a probe batch.

    Attributes:
        max_parameters: maximum number of parameters.
        max_flops_ratio: maximum FLOPs, as a multiple of those of the search space's largest architecture. Both are
            counted for the probe batch, so that the limit is independent of its length. Also the maximum size of a
            requested probe batch, as a multiple of that of the task's default batch.
    """

    max_parameters: int
    max_flops_ratio: float

    def parser(self, context: ScoringContext) -> Callable[[Any], Architecture]:
        """Return a function that parses an architecture from JSON data.

        The function raises `ArchitectureError` for an architecture that is malformed, too large or of another space. A
        space without costs limits the size of its architectures itself.
        """
        space = context.space
        check_cost = self._cost_check(space, context) if isinstance(space, CostedSpace) else None

        def parse(data: Any) -> Architecture:
            check_space(data, space.name)
            architecture: Architecture = space.parse(data)
            if check_cost is not None:
                check_cost(architecture)
            return architecture

        return parse

    def _cost_check(self, space: CostedSpace[Any], context: ScoringContext) -> Callable[[Architecture], None]:
        shapes = context.shapes
        max_flops = self.max_flops_ratio * space.cost(space.largest, shapes).flops
        flops_allowed = f"at most {max_flops:.0f}, {self.max_flops_ratio:g} times those of the largest of {space.name}"

        def check(architecture: Architecture) -> None:
            cost = space.cost(architecture, shapes)
            if cost.params > self.max_parameters:
                raise ArchitectureError("architecture (parameters)", cost.params, f"at most {self.max_parameters}")
            if cost.flops > max_flops:
                raise ArchitectureError("architecture (FLOPs)", cost.flops, flops_allowed)

        return check

    def check_batch(self, space: SearchSpace[Any], fields: Mapping[str, Any]) -> None:
        """Check the size of a requested probe batch.

        Raises:
            InputError: the fields do not fit the task, or the batch is too large.
            CapabilityError: the space's networks cannot be built.
        """
        task, spec = require(space, BuildableSpace).task, batch_spec(space, fields)
        assert spec is not None, "fields have a specification"
        size, default = (sum(map(prod, each.shapes(task))) for each in (spec, task.batch_spec()))
        if size > self.max_flops_ratio * default:
            allowed = f"at most {self.max_flops_ratio * default:.0f}, {self.max_flops_ratio:g} times the default batch"
            raise BatchError("batch (numbers)", size, allowed)


def check_space(data: Any, space: str) -> None:
    """Check the space that an architecture names, if it names one.

    Raises:
        ArchitectureError: it is not the request's.
    """
    named = data.get("space", space) if isinstance(data, Mapping) else space
    if named != space:
        raise ArchitectureError("space", named, f"{space!r}, the space of this request")
