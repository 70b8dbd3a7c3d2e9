"""Several networks in one, which share their weights."""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn

from models.base import ArchT, BuildableSpace, EncodedSpace


@dataclass(frozen=True)
class NetworkStack:
    """K networks of one stratum at initialization, and the network that runs all of them in one pass.

    Attributes:
        network: maps K equal parts of its rows, one after the other, each as one of the networks does, with batch norm
            over each part; its class states `supports_tape`. It has every weight that one of the networks has, by the
            same name. A weight that a network lacks has no effect on its part.
        networks: the K networks, whose parameters are those of `network`.
    """

    network: nn.Module
    networks: tuple[nn.Module, ...]

    def to(self, device: torch.device | str) -> "NetworkStack":
        """Move all networks to a device."""
        for network in (self.network, *self.networks):
            network.to(device)
        return self


class StackableSpace(BuildableSpace[ArchT], EncodedSpace[ArchT]):
    """Search space whose networks of one stratum share their initial weights, so that several run in one pass."""

    ability = "stacks of networks"

    @abstractmethod
    def build_stack(self, archs: Sequence[ArchT], seed: int = 0) -> NetworkStack:
        """Build the networks of several architectures, on the CPU, with the initial weights of `build`.

        Args:
            archs: architectures of one stratum.
            seed: seed of the initial weights.

        Raises:
            InputError: there is none, or they are of several strata.
        """
