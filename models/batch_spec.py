"""Serializable specification of a probe batch, as score tables and ensembles store it."""

import inspect
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from common.errors import BatchError, UnknownNameError
from models.task import ProbeBatch, Shapes, Task

ModelT = TypeVar("ModelT", bound=BaseModel)


def parse_fields(kind: type[ModelT], fields: Mapping[str, Any], place: str) -> ModelT:
    """Read the fields of a model.

    Args:
        kind: the model.
        fields: values by field.
        place: name of the whole, for errors.

    Raises:
        UnknownNameError: a field is unknown.
        BatchError: a value is not allowed.
    """
    for name in fields:
        if name not in kind.model_fields and (name == "self" or kind.model_config.get("extra") == "forbid"):
            raise UnknownNameError(place, name, list(kind.model_fields))
    try:
        return kind(**fields)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"])) or place
        raise BatchError(field, first["input"], first["msg"].removeprefix("Input should be ")) from error


class BatchSpec(BaseModel, ABC):
    """Specification of a probe batch. Tasks subclass it with the fields of their data.

    Attributes:
        source: kind of the data.
        seed: seed of the batch.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    source: str
    seed: int = Field(default=0, ge=0, lt=2**32)

    @classmethod
    def parse(cls, fields: Mapping[str, Any]) -> Self:
        """Read a specification.

        Args:
            fields: values by field.

        Raises:
            UnknownNameError: a field is unknown.
            BatchError: a value is not allowed.
        """
        return parse_fields(cls, fields, "batch")

    @abstractmethod
    def make(self, task: Task) -> ProbeBatch:
        """Make the batch.

        Args:
            task: task of the networks.

        Raises:
            BatchError: the data do not fit the task.
        """

    @abstractmethod
    def shapes(self, task: Task) -> Shapes:
        """Return the shapes of the network's arguments, without making the batch."""


class SyntheticSpec(BatchSpec):
    """A batch that the task generates; further fields are its sizes."""

    model_config = ConfigDict(extra="allow", frozen=True)

    source: Literal["synthetic"] = "synthetic"

    def make(self, task: Task) -> ProbeBatch:
        """Generate the batch."""
        return task.synthetic_batch(self.seed, **(self.model_extra or {}))

    def shapes(self, task: Task) -> Shapes:
        """Return the shapes of the network's arguments."""
        return task.input_shapes(**(self.model_extra or {}))


def make_batch_spec(task: Task, fields: Mapping[str, Any]) -> BatchSpec:
    """Make the specification of a task's probe batch from fields of any name.

    Args:
        task: the task.
        fields: values by field.

    Raises:
        InputError: a field is unknown, `self` included, or a value is not allowed.
    """
    signature = inspect.signature(type(task).batch_spec)
    for name, value in fields.items():
        try:
            signature.bind(task, **{name: value})
        except TypeError as error:
            raise BatchError(name, value, f"fields of the probe batch of {task.name}") from error
    return task.batch_spec(**fields)
