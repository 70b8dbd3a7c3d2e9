"""The weights of a network: `W` in the definitions."""

from collections.abc import Callable

from torch import nn

LAYERS = (nn.modules.conv._ConvNd, nn.Linear, nn.Bilinear, nn.Embedding, nn.EmbeddingBag)
"""Modules whose `weight` is one, run or not."""


def weight_names(network: nn.Module, used: Callable[[], frozenset[str]]) -> tuple[str, ...]:
    """Names of the weights, each tensor once, in the order of registration.

    A weight is a trainable floating-point parameter of two or more dimensions that is the `weight` of a convolution,
    linear map or embedding, or that a forward pass hands to one, or to a matrix product (`Structure.used`).

    Args:
        network: a working copy, in which no weight is made anew in each call.
        used: gives the names of the parameters that a forward pass hands to a product; called only where a parameter
            that belongs to no layer may be a weight.

    Raises:
        ValueError: there is none.
    """
    of_layers = {id(module.weight) for module in network.modules() if isinstance(module, LAYERS)}
    candidates = {
        name: id(parameter) in of_layers
        for name, parameter in network.named_parameters()
        if parameter.requires_grad and parameter.is_floating_point() and parameter.ndim >= 2
    }
    operands = frozenset[str]() if all(candidates.values()) else used()
    found = tuple(name for name, of_layer in candidates.items() if of_layer or name in operands)
    if not found:
        raise ValueError("the network has no weight: no trainable tensor that a layer or a matrix product uses")
    return found
