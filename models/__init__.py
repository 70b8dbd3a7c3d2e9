"""Search spaces: from a written architecture to its network, and the batches that probe it."""

from common.errors import (
    ArchitectureError,
    ArchrankError,
    BatchError,
    CapabilityError,
    InputError,
    UnknownNameError,
)
from models.base import (
    Architecture,
    BuildableSpace,
    Cost,
    CostedSpace,
    EditableSpace,
    EncodedSpace,
    FeatureGroup,
    SearchSpace,
    capabilities,
    require,
)
from models.registry import get_space, space_names
from models.task import ACCURACY, Metric, ProbeBatch, Shapes, Task

__all__ = [
    "ACCURACY",
    "Architecture",
    "ArchitectureError",
    "ArchrankError",
    "BatchError",
    "BuildableSpace",
    "CapabilityError",
    "Cost",
    "CostedSpace",
    "EditableSpace",
    "EncodedSpace",
    "FeatureGroup",
    "InputError",
    "Metric",
    "ProbeBatch",
    "SearchSpace",
    "Shapes",
    "Task",
    "UnknownNameError",
    "capabilities",
    "get_space",
    "require",
    "space_names",
]
