"""Members that a network may offer to proxies, beside its layers."""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from torch import nn

from models.task import Shapes
from models.topology import UnitTopology


@runtime_checkable
class HasUnits(Protocol):
    """A network with `units`: its repeated building blocks in the order of execution (used by meco)."""

    @property
    def units(self) -> Sequence[nn.Module]:
        """The units."""


@runtime_checkable
class HasFeatureUnit(Protocol):
    """A network with a `feature_unit`, whose output are the network's features (used by zen)."""

    @property
    def feature_unit(self) -> nn.Module:
        """The unit."""


@runtime_checkable
class HasTopology(Protocol):
    """A network with a `topology`: connectivity of each unit (used by sed)."""

    @property
    def topology(self) -> Sequence[UnitTopology]:
        """Connectivity of each unit."""


@runtime_checkable
class HasFlops(Protocol):
    """A network that counts its FLOPs by formula."""

    def flops(self, shapes: Shapes) -> int:
        """Count the FLOPs of one forward pass of arguments of these shapes."""
