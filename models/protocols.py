"""Attributes and methods that a network may offer to proxies; none is required.

A network without one is scored all the same: proxies that read it are not applicable.
"""

from collections.abc import Sequence
from typing import Protocol, TypeGuard, TypeVar, runtime_checkable

from torch import nn

from models.task import Shapes
from models.topology import UnitTopology

ProtocolT = TypeVar("ProtocolT")


@runtime_checkable
class HasUnits(Protocol):
    """Network that names its units, read by meco, meco_opt and the proxies of spectra and Jacobians of units."""

    @property
    def units(self) -> Sequence[nn.Module]:
        """Modules in the order in which they run, each with one output: (rows, channels, …), or (rows, channels)."""


@runtime_checkable
class HasChannelAxis(Protocol):
    """Network whose units have their channels elsewhere than in the second dimension."""

    @property
    def channel_axis(self) -> int:
        """Dimension of the channels in the output of each unit; the first holds the rows."""


@runtime_checkable
class HasFeatureUnit(Protocol):
    """Network that names the module whose output are its features, read by zen."""

    @property
    def feature_unit(self) -> nn.Module:
        """Module that runs once in a forward pass; its output has rows first."""


@runtime_checkable
class HasTopology(Protocol):
    """Network that describes how its units connect the nodes of a graph, read by sed."""

    @property
    def topology(self) -> Sequence[UnitTopology]:
        """Connectivity of each unit, in the order in which they run."""


@runtime_checkable
class HasFlops(Protocol):
    """Network that counts its own FLOPs, instead of having its operations counted."""

    def flops(self, shapes: Shapes) -> int:
        """Count the FLOPs of one forward pass, 2 for each multiply-add.

        Args:
            shapes: shapes of the network's arguments, in order.
        """


def offers(network: object, protocol: type[ProtocolT]) -> TypeGuard[ProtocolT]:
    """Return True if a network has all members of a protocol, none of them None.

    Unlike `isinstance` from Python 3.12 on, it finds members that are registered modules.
    """
    members = [name for name in vars(protocol) if not name.startswith("_")]
    return all(getattr(network, name, None) is not None for name in members)
