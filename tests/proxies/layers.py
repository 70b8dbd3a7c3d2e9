"""Layers of a network of convolutions and linear layers, for slow reference computations."""

from torch import nn

Layer = nn.Conv1d | nn.Conv2d | nn.Conv3d | nn.Linear


def layers(network: nn.Module) -> list[Layer]:
    """Return every convolution and linear layer in the order of registration."""
    return [module for module in network.modules() if isinstance(module, Layer)]
