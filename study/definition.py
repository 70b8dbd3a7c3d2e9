"""Definition of a study: search space, task, metric and sources."""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, Self, get_args

from common.errors import InputError
from ensemble.data.benchmark import as_finite

Direction = Literal["maximize", "minimize"]
Unit = Literal["fraction", "percent", "number"]
BOUNDS: Mapping[str, tuple[float, float]] = {
    "fraction": (0.0, 1.0),
    "percent": (0.0, 100.0),
    "number": (-1e100, 1e100),  # squares of values and their sums are finite
}
"""Lowest and highest value of a metric by its unit."""
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
"""Names of studies, which are also names of folders."""
MAX_TEXT_LENGTH = 200
"""Maximum number of characters of the names of a task, of a metric and of a source."""


def check_text(field: str, value: Any, min_length: int = 1, max_length: int = MAX_TEXT_LENGTH) -> None:
    """Check that a value is a printable text of allowed length.

    Raises:
        InputError: it is not.
    """
    if not isinstance(value, str) or not value.isprintable() or not min_length <= len(value) <= max_length:
        raise InputError(field, value, f"a printable text of {min_length} to {max_length} characters")


@dataclass(frozen=True)
class StudyMetric:
    """Metric of a study's trained architectures.

    Attributes:
        name: name for users, e.g. `accuracy`.
        direction: `maximize` or `minimize`.
        unit: `fraction` (0 to 1), `percent` (0 to 100) or `number` (−1e100 to 1e100).
    """

    name: str = "accuracy"
    direction: Direction = "maximize"
    unit: Unit = "fraction"

    def __post_init__(self) -> None:
        check_text("metric.name", self.name)
        if self.direction not in get_args(Direction):
            raise InputError("metric.direction", self.direction, "one of " + ", ".join(get_args(Direction)))
        if self.unit not in get_args(Unit):
            raise InputError("metric.unit", self.unit, "one of " + ", ".join(get_args(Unit)))

    @property
    def sign(self) -> float:
        """1 if larger values are better, else -1."""
        return 1.0 if self.direction == "maximize" else -1.0

    def check(self, value: float, name: str = "value") -> float:
        """Return a value of the metric as a float.

        Raises:
            InputError: it is not finite, or outside the range of the unit.
        """
        low, high = BOUNDS[self.unit]
        if as_finite(value) is None:
            raise InputError(name, value, "a finite number")
        if not low <= value <= high:
            hint = (
                f"; write {value / 100:g} for this percentage" if self.unit == "fraction" and 1 < value <= 100 else ""
            )
            raise InputError(name, value, f"{low:g} to {high:g}, as the unit is {self.unit}{hint}")
        return float(value) + 0.0  # 0.0 for −0.0


@dataclass(frozen=True)
class StudyDefinition:
    """Definition of a study, fixed at its creation.

    Attributes:
        name: name of the study, unique among those of its owner.
        space: name of the search space.
        settings: settings of the space; they set the costs among the features.
        task: name of the task or data set, for users.
        metric: metric of the observations.
        sources: names of the ensembles of other tasks whose predictions are inputs; empty for none.
    """

    name: str
    space: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    task: str = ""
    metric: StudyMetric = StudyMetric()
    sources: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not NAME.fullmatch(self.name):
            raise InputError("name", self.name, "1 to 100 letters, digits, dots, hyphens and underscores, no dot first")
        check_text("task", self.task, min_length=0)
        for i, source in enumerate(self.sources):
            check_text(f"sources[{i}]", source)
            if source in self.sources[:i]:
                raise InputError(f"sources[{i}]", source, "each source once")

    def to_json(self) -> dict[str, Any]:
        """Return the definition as plain JSON, which `from_json` reads."""
        return {**asdict(self), "settings": dict(self.settings), "sources": list(self.sources)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Restore the result of `to_json`."""
        metric = StudyMetric(**data["metric"])
        return cls(data["name"], data["space"], dict(data["settings"]), data["task"], metric, tuple(data["sources"]))
