"""How large an architecture may be: known by formula, before anything is built of it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from models import Architecture, ArchitectureError
from service.inference.registry import Probe


@dataclass(frozen=True)
class Limits:
    """What an architecture may cost.

    Attributes:
        parameters: of the network, at most.
        flops_ratio: FLOPs, at most, as a multiple of those of the search space's largest architecture. Both are of the
            batch that networks are measured with, so that the limit means the same for a long batch and a short one.
    """

    parameters: int
    flops_ratio: float

    def reader(self, probe: Probe) -> Callable[[Any], Architecture]:
        """What reads an architecture. It raises `ArchitectureError` for one that is malformed or too large."""
        space = probe.space
        shape = probe.shape
        most_flops = int(self.flops_ratio * space.cost(space.largest, shape).flops)
        flops_allowed = f"at most {most_flops}, {self.flops_ratio:g} times those of the largest of {space.name}"

        def read(text: Any) -> Architecture:
            arch = space.parse(text)
            cost = space.cost(arch, shape)
            if cost.params > self.parameters:
                raise ArchitectureError("architecture (parameters)", cost.params, f"at most {self.parameters}")
            if cost.flops > most_flops:
                raise ArchitectureError("architecture (FLOPs)", cost.flops, flops_allowed)
            return arch

        return read
