"""Tests that are marked `gpu`."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from xml.etree import ElementTree

from benchmarks.gpu.checks import Check, Options, holds, skipped

ROOT = Path(__file__).parents[2]
DEVICE = "ARCHRANK_TEST_DEVICE"
"""Environment variable of the device of these tests: cuda, or cpu for a dry run."""


def run(options: Options) -> Iterator[Check]:
    """Run the tests, and yield each failure and the number of tests that pass."""
    try:
        import pytest  # noqa: F401
    except ImportError:
        yield skipped("tests marked gpu", "pytest is not installed")
        return
    with TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        command = [sys.executable, "-m", "pytest", "tests/gpu", "-m", "gpu", "-q", "-p", "no:cacheprovider"]
        environment = os.environ | {DEVICE: options.device}
        done = subprocess.run(
            [*command, f"--junitxml={report}"], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
        )
        if not report.exists():
            yield holds("tests marked gpu", False, (done.stdout + done.stderr).strip()[-300:], "all pass")
            return
        yield from outcomes(ElementTree.parse(report).getroot(), options.device)


def outcomes(report: ElementTree.Element, device: str) -> Iterator[Check]:
    """Yield failures by name, then the number of passed tests; a test that is skipped on a GPU counts as missed."""
    passed = missed = 0
    for case in report.iter("testcase"):
        name = f"{case.get('classname', '').rpartition('.')[2]}.{case.get('name')}"
        problems = [case.find(kind) for kind in ("failure", "error")]
        if (problem := next((found for found in problems if found is not None), None)) is not None:
            missed += 1
            yield holds(name, False, (problem.get("message") or "failed").splitlines()[0], "passes")
        elif (skip := case.find("skipped")) is not None:
            missed += device == "cuda"
            yield skipped(name, skip.get("message") or "skipped")
        else:
            passed += 1
    yield holds("tests marked gpu", passed > 0 and missed == 0, f"{passed} passed, {missed} not", "all pass")
