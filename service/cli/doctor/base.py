"""What a check is given, and what it finds."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ValidationError

from common.errors import ArchrankError
from service.inference.registry import EnsembleRegistry
from service.settings import Settings


class Finding(BaseModel):
    """What one check found, and what to do where that is not good."""

    check: str = ""
    status: Literal["ok", "warning", "error", "skipped"]
    found: str
    advice: str | None = None


class Report(BaseModel):
    """What all checks found."""

    findings: list[Finding]

    @property
    def failed(self) -> bool:
        """Whether there is an error."""
        return any(one.status == "error" for one in self.findings)


class SkippedError(Exception):
    """A check cannot run; the message says why."""


@dataclass(frozen=True)
class Setup:
    """What is examined. What cannot be had raises `SkippedError`: the check whose matter it is says what is wrong.

    Attributes:
        given: settings of the command line, which come before the environment's.
        environment: the variables.
    """

    given: Mapping[str, object] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))

    @cached_property
    def settings(self) -> Settings:
        try:
            return self.read_settings()
        except (ValidationError, ArchrankError):
            raise SkippedError("the settings are invalid") from None

    @property
    def expanded_data_dir(self) -> Path:
        """Folder of the SQLite store."""
        try:
            return self.settings.expanded_data_dir
        except ArchrankError:
            raise SkippedError("the data folder is not known") from None

    @cached_property
    def library(self) -> EnsembleRegistry:
        try:
            return EnsembleRegistry.load(self.settings)
        except ArchrankError:
            raise SkippedError("the ensembles cannot be loaded") from None

    def read_settings(self) -> Settings:
        """The settings. Raises `ValidationError` or `InputError` where they are invalid."""
        return Settings(**self.given)  # type: ignore[arg-type]  # pydantic says what is wrong


Check = Callable[[Setup], Finding]


def ok(found: str) -> Finding:
    """As it should be."""
    return Finding(status="ok", found=found)


def warning(found: str, advice: str) -> Finding:
    """It works, but not well, or not for long."""
    return Finding(status="warning", found=found, advice=advice)


def error(found: str, advice: str) -> Finding:
    """It does not work."""
    return Finding(status="error", found=found, advice=advice)


def examine(checks: Sequence[Check], setup: Setup) -> Report:
    """Run the checks. One that fails itself is an error of its own, and the others run."""
    return Report(findings=[_finding(check, setup) for check in checks])


def _finding(check: Check, setup: Setup) -> Finding:
    try:
        found = check(setup)
    except SkippedError as reason:
        found = Finding(status="skipped", found=str(reason))
    except Exception as unforeseen:
        found = error(f"{type(unforeseen).__name__}: {unforeseen}", "the check itself failed: please report it")
    return found.model_copy(update={"check": check.__name__.replace("_", " ")})
