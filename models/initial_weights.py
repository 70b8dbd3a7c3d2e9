"""Initial weights by seed and name: the same numbers in every architecture, sampled once in a process."""

import threading
import zlib

import torch
from torch import Tensor

MAX_CACHED_BYTES = 2**26
"""Memory of the cached tensors; a `gcn-nas` network of ten layers with all modules has 37 MiB."""
_cached: dict[tuple[object, ...], Tensor] = {}
_lock = threading.Lock()


def fill_normal(tensor: Tensor, std: float, seed: int, name: str) -> None:
    """Fill a tensor with normal numbers of mean 0, from a random generator of its own, seeded by (seed, name).

    Args:
        tensor: on the CPU; filled in place.
        std: standard deviation.
        seed: seed of the network.
        name: name of the tensor in the network.
    """
    tensor.copy_(_sampled("normal_", (0.0, std), tensor, seed, name))


def fill_uniform(tensor: Tensor, bound: float, seed: int, name: str) -> None:
    """Fill a tensor with uniform numbers in ±bound, as `fill_normal` does with normal ones."""
    tensor.copy_(_sampled("uniform_", (-bound, bound), tensor, seed, name))


def _sampled(method: str, parameters: tuple[float, float], like: Tensor, seed: int, name: str) -> Tensor:
    key = method, parameters, like.shape, like.dtype, seed, name
    with _lock:
        known = _cached.get(key)
    if known is None:
        generator = torch.Generator("cpu").manual_seed(zlib.crc32(f"{seed}/{name}".encode()))
        known = torch.empty(like.shape, dtype=like.dtype, device="cpu")
        getattr(known, method)(*parameters, generator=generator)
        _keep(key, known)
    return known


def _keep(key: tuple[object, ...], tensor: Tensor) -> None:
    with _lock:
        if sum(kept.nbytes for kept in _cached.values()) + tensor.nbytes > MAX_CACHED_BYTES:
            _cached.clear()
        if tensor.nbytes <= MAX_CACHED_BYTES:
            _cached[key] = tensor
