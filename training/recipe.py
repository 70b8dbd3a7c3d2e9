"""Hyperparameters of a training."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, Self

from common.errors import InputError, UnknownNameError


@dataclass(frozen=True)
class Recipe:
    """Hyperparameters of a training. The defaults are those of the public `gcn-nas` benchmark (Peng et al., AAAI 2020).

    Attributes:
        epochs: passes over the training samples.
        batch_size: samples a step; None: all at once.
        optimizer: `sgd` or `adam`.
        learning_rate: rate of the first epoch, after the warm-up.
        momentum: momentum of `sgd`.
        nesterov: Nesterov momentum of `sgd`.
        weight_decay: factor of the L2 penalty.
        milestones: epochs, counted from 0, from which the rate is multiplied by `gamma` once more.
        gamma: factor of the rate at a milestone.
        warm_up: epochs over which the rate rises linearly.
        precision: `float32`, or `bfloat16` for autocast on a GPU.
    """

    epochs: int = 70
    batch_size: int | None = 40
    optimizer: Literal["sgd", "adam"] = "sgd"
    learning_rate: float = 0.1
    momentum: float = 0.9
    nesterov: bool = True
    weight_decay: float = 6e-4
    milestones: tuple[int, ...] = (30, 45, 60)
    gamma: float = 0.1
    warm_up: int = 0
    precision: Literal["float32", "bfloat16"] = "float32"

    @classmethod
    def parse(cls, data: Mapping[str, Any]) -> Self:
        """Read a recipe from plain JSON, as `to_json` returns it.

        Raises:
            UnknownNameError: a field is unknown.
            InputError: a value is not allowed.
        """
        names = [field.name for field in fields(cls)]
        for name in data:
            if name not in names:
                raise UnknownNameError("recipe", name, names)
        values: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in data.items()
        }
        return cls(**values)

    def __post_init__(self) -> None:
        for name, low in (("epochs", 1), ("batch_size", 1), ("warm_up", 0)):
            value = getattr(self, name)
            if (value is not None or name != "batch_size") and not (_is_whole(value) and value >= low):
                raise InputError(f"recipe.{name}", value, f"a whole number of at least {low}")
        for name in ("learning_rate", "momentum", "weight_decay", "gamma"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
                raise InputError(f"recipe.{name}", value, "a finite number of at least 0")
        epochs = self.milestones
        if not isinstance(epochs, tuple) or not all(_is_whole(epoch) and epoch > 0 for epoch in epochs):
            raise InputError("recipe.milestones", epochs, "whole numbers above 0")
        if list(epochs) != sorted(set(epochs)):
            raise InputError("recipe.milestones", epochs, "increasing numbers")
        if not isinstance(self.nesterov, bool):
            raise InputError("recipe.nesterov", self.nesterov, "true or false")
        if self.optimizer == "sgd" and self.nesterov and self.momentum == 0:
            raise InputError("recipe.nesterov", True, "false without momentum")
        for name, allowed in (("optimizer", ("sgd", "adam")), ("precision", ("float32", "bfloat16"))):
            if getattr(self, name) not in allowed:
                raise InputError(f"recipe.{name}", getattr(self, name), " or ".join(allowed))

    def to_json(self) -> dict[str, Any]:
        """Return the recipe as plain JSON."""
        return asdict(self) | {"milestones": list(self.milestones)}

    def rate(self, epoch: int, progress: float = 1.0) -> float:
        """Return the learning rate of a step.

        Args:
            epoch: the epoch, from 0.
            progress: part of the epoch that will be done after the step, in (0, 1].
        """
        decays = sum(epoch >= milestone for milestone in self.milestones)
        warm_up = min(1.0, (epoch + progress) / self.warm_up) if self.warm_up else 1.0
        return self.learning_rate * self.gamma**decays * warm_up


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
