"""Observations of a study: architectures that are trained, whose training failed, or whose training still runs."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

from models import Architecture, SearchSpace


@dataclass(frozen=True)
class Observation:
    """One training of an architecture. Its content identifies it: the same observation is counted once.

    A curve with neither value nor error is that of a training which still runs. Any observation of the same
    architecture with a value or an error supersedes it, as does a longer curve.

    Attributes:
        architecture: the architecture.
        value: metric after the training; None if the training failed or still runs.
        error: reason of the failure; None if there is a value.
        seconds: time of the training; None if unknown.
        epochs: number of epochs; None if unknown.
        curve: metric after each epoch, or each evaluation, so far; empty if unknown.
    """

    architecture: Architecture
    value: float | None
    error: str | None = None
    seconds: float | None = None
    epochs: int | None = None
    curve: tuple[float, ...] = ()

    @property
    def is_running(self) -> bool:
        """True for a training that still runs."""
        return self.value is None and self.error is None and bool(self.curve)

    @cached_property
    def id(self) -> str:
        """First 128 bits of the SHA-256 of the content, in hexadecimal."""
        value, seconds = (None if number is None else float(number) + 0.0 for number in (self.value, self.seconds))
        curve = [float(number) + 0.0 for number in self.curve]  # 1 is 1.0, and −0.0 is 0.0
        content = [self.architecture.key, value, self.error, seconds, self.epochs, curve]
        return hashlib.sha256(json.dumps(content, separators=(",", ":")).encode()).hexdigest()[:32]

    def to_json(self, space: SearchSpace[Any]) -> dict[str, Any]:
        """Return the observation as plain JSON, which `from_json` reads; unknown fields are left out."""
        data: dict[str, Any] = {"architecture": space.to_json(self.architecture), "value": self.value}
        known = {"error": self.error, "seconds": self.seconds, "epochs": self.epochs, "curve": list(self.curve) or None}
        return data | {name: value for name, value in known.items() if value is not None}

    @classmethod
    def from_json(cls, space: SearchSpace[Any], data: Mapping[str, Any]) -> Self:
        """Restore the result of `to_json`; `study.parsing` validates the input of users."""
        return cls(
            space.parse(data["architecture"]),
            data["value"],
            data.get("error"),
            data.get("seconds"),
            data.get("epochs"),
            tuple(data.get("curve") or ()),
        )
