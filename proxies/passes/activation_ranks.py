"""Effective ranks of the inputs and outputs of ReLUs."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from proxies.spectrum import effective_rank

SEED = 0
"""Of the places that are sampled, the same in every network."""


class ActivationRank(NamedTuple):
    """Effective rank of a matrix of activations, and its number of channels."""

    rank: float
    channels: int


@torch.no_grad()
def activation_ranks(relu_inputs: Sequence[Tensor]) -> list[ActivationRank]:
    """Return the effective ranks of the input and of the output of each ReLU, as matrices (places, channels).

    Args:
        relu_inputs: (rows, channels, …) by ReLU.
    """
    ranks = []
    for tensor in relu_inputs:
        matrix = _sampled(tensor.reshape(len(tensor), -1, 1) if tensor.ndim < 2 else tensor.movedim(1, -1))
        ranks += [ActivationRank(effective_rank(part), part.shape[1]) for part in (matrix, matrix.relu())]
    return ranks


def _sampled(places: Tensor) -> Tensor:
    """Return (…, channels) as a matrix of at most as many places as channels, sampled at random."""
    matrix = places.flatten(0, -2)
    rows, columns = matrix.shape
    if rows <= columns:
        return matrix
    order = torch.randperm(rows, generator=torch.Generator("cpu").manual_seed(SEED), device="cpu")
    return matrix[order[:columns].to(matrix.device)]
