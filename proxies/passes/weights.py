"""Weights of a network: `W` in the definitions."""

from collections.abc import Callable

from torch import nn

WEIGHT_LAYERS = (nn.modules.conv._ConvNd, nn.Linear, nn.Bilinear, nn.Embedding, nn.EmbeddingBag)
"""Modules whose `weight` counts, whether they run or not."""


def weight_names(network: nn.Module, used: Callable[[], frozenset[str]]) -> tuple[str, ...]:
    """Return the names of the weights, each tensor once, in the order of registration.

    A weight is a trainable floating-point parameter of two or more dimensions that is the `weight` of a convolution,
    linear map or embedding, or that a forward pass hands to one, or to a matrix product
    (`ForwardTrace.used_parameters`).

    Args:
        network: a working copy, in which no weight is recomputed in each call.
        used: returns the names of the parameters that a forward pass hands to a product; called only if a parameter
            that belongs to no layer may be a weight.

    Raises:
        ValueError: there is none.
    """
    of_layers = {id(module.weight) for module in network.modules() if isinstance(module, WEIGHT_LAYERS)}
    candidates = {
        name: id(parameter) in of_layers
        for name, parameter in network.named_parameters()
        if parameter.requires_grad and parameter.is_floating_point() and parameter.ndim >= 2
    }
    operands = frozenset[str]() if all(candidates.values()) else used()
    names = tuple(name for name, of_layer in candidates.items() if of_layer or name in operands)
    if not names:
        raise ValueError("the network has no weight: no trainable tensor that a layer or a matrix product uses")
    return names
