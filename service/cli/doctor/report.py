"""Checks, their findings, and the installation they examine."""

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
    """Result of a check, with advice if it is a warning or an error."""

    check: str = ""
    status: Literal["ok", "warning", "error", "skipped"]
    message: str
    advice: str | None = None


class Report(BaseModel):
    """Findings of all checks."""

    findings: list[Finding]

    @property
    def failed(self) -> bool:
        """Whether a finding is an error."""
        return any(finding.status == "error" for finding in self.findings)


class SkippedError(Exception):
    """A check cannot run; the message is the reason."""


@dataclass(frozen=True)
class Installation:
    """The installation to check. Parts that cannot be loaded raise `SkippedError`; a check of their own reports why.

    Attributes:
        options: settings of the command line, which take precedence over the environment's.
        environment: environment variables.
    """

    options: Mapping[str, object] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))

    @cached_property
    def settings(self) -> Settings:
        """Settings of the service."""
        try:
            return self.read_settings()
        except (ValidationError, ArchrankError):
            raise SkippedError("the settings are invalid") from None

    @property
    def data_dir(self) -> Path:
        """Directory of the SQLite store."""
        try:
            return self.settings.expanded_data_dir
        except ArchrankError:
            raise SkippedError("the data directory is unknown") from None

    @cached_property
    def registry(self) -> EnsembleRegistry:
        """Loaded ensembles."""
        try:
            return EnsembleRegistry.load(self.settings)
        except ArchrankError:
            raise SkippedError("the ensembles cannot be loaded") from None

    def read_settings(self) -> Settings:
        """Read the settings. Raises `ValidationError` or `InputError` if they are invalid."""
        return Settings(**self.options)  # type: ignore[arg-type]  # pydantic checks the types


Check = Callable[[Installation], Finding]
"""A check. Its name and its docstring, the condition that it checks, are those of the function."""


def ok(message: str) -> Finding:
    """Return a finding without a problem."""
    return Finding(status="ok", message=message)


def warning(message: str, advice: str) -> Finding:
    """Return a finding of a problem that the service works with, though not well or not for long."""
    return Finding(status="warning", message=message, advice=advice)


def error(message: str, advice: str) -> Finding:
    """Return a finding of a problem that stops the service."""
    return Finding(status="error", message=message, advice=advice)


def run_checks(checks: Sequence[Check], installation: Installation) -> Report:
    """Run the checks. An exception in one is reported as an error, and the others run."""
    return Report(findings=[_run(check, installation) for check in checks])


def _run(check: Check, installation: Installation) -> Finding:
    try:
        finding = check(installation)
    except SkippedError as reason:
        finding = Finding(status="skipped", message=str(reason))
    except Exception as bug:
        finding = error(f"{type(bug).__name__}: {bug}", "the check itself failed: please report it")
    return finding.model_copy(update={"check": check.__name__.replace("_", " ")})
