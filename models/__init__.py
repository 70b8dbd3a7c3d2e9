"""Search spaces: from a written architecture to its network, and the batches that probe it."""

from common.errors import ArchitectureError, ArchrankError, BatchError, InputError, UnknownNameError
from models.base import Architecture, Cost, SearchSpace
from models.registry import get_space, space_names

__all__ = [
    "Architecture",
    "ArchitectureError",
    "ArchrankError",
    "BatchError",
    "Cost",
    "InputError",
    "SearchSpace",
    "UnknownNameError",
    "get_space",
    "space_names",
]
