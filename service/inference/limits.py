"""Limits on the size of an architecture, checked by formula before anything is built."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from models import Architecture, ArchitectureError, CostedSpace, require
from service.inference.scoring_context import ScoringContext


@dataclass(frozen=True)
class SizeLimits:
    """Maximum cost of an architecture.

    Attributes:
        max_parameters: maximum number of parameters.
        max_flops_ratio: maximum FLOPs, as a multiple of those of the search space's largest architecture. Both are
            counted for the probe batch, so that the limit is independent of its length.
    """

    max_parameters: int
    max_flops_ratio: float

    def parser(self, context: ScoringContext) -> Callable[[Any], Architecture]:
        """Return a function that parses an architecture from JSON data.

        The function raises `ArchitectureError` for an architecture that is malformed or too large.
        """
        space, shapes = require(context.space, CostedSpace), context.shapes
        max_flops = int(self.max_flops_ratio * space.cost(space.largest, shapes).flops)
        flops_allowed = f"at most {max_flops}, {self.max_flops_ratio:g} times those of the largest of {space.name}"

        def parse(data: Any) -> Architecture:
            architecture: Architecture = space.parse(data)
            cost = space.cost(architecture, shapes)
            if cost.params > self.max_parameters:
                raise ArchitectureError("architecture (parameters)", cost.params, f"at most {self.max_parameters}")
            if cost.flops > max_flops:
                raise ArchitectureError("architecture (FLOPs)", cost.flops, flops_allowed)
            return architecture

        return parse
