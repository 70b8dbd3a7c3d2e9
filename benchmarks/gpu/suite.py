"""The tests that are marked `gpu`."""

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
"""Environment variable with the device of those tests: cuda, or cpu for a dry run."""


def run(options: Options) -> Iterator[Check]:
    """Number of tests that pass; each failure by name."""
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
    """Failures by name, then how many passed; one that is skipped on a GPU has not passed."""
    passed = missed = 0
    for case in report.iter("testcase"):
        name = f"{case.get('classname', '').rpartition('.')[2]}.{case.get('name')}"
        ill = [case.find(kind) for kind in ("failure", "error")]
        if (problem := next((one for one in ill if one is not None), None)) is not None:
            missed += 1
            yield holds(name, False, (problem.get("message") or "failed").splitlines()[0], "passes")
        elif (skip := case.find("skipped")) is not None:
            missed += device == "cuda"
            yield skipped(name, skip.get("message") or "skipped")
        else:
            passed += 1
    good = passed > 0 and missed == 0
    yield holds("tests marked gpu", good, f"{passed} passed, {missed} not", "all pass")
